// @ts-check
/** What somebody wants to remember of a shot; it colors nothing. */

import { h, quiet, show, write } from "./dom.js";
import { edit } from "./edits.js";
import { on, shotNow, state } from "./state.js";

const SAVE_MS = 800;

export function makeNotesPanel() {
  let of = state.shot;
  const title = h("h3", {});
  const save = quiet(SAVE_MS, () => keep());
  const text = h("textarea", {
    rows: 8,
    class: "field",
    "data-testid": "note",
    "aria-label": "Note about this shot",
    placeholder: "Night, only the lamp is warm …",
    oninput: () => save(),
    onblur: () => keep(),
  });
  const keep = () => {
    save.stop();
    const [shot, words] = [of, text.value];
    if (state.film?.shots[shot] && words !== (state.film.shots[shot].note ?? ""))
      void edit(() => ({ do: "note", shot, text: words }));
  };
  on(["film", "shot"], () => {
    const shot = shotNow();
    if (of !== state.shot) {
      // Half a note of the shot before is kept, not carried over.
      keep();
      of = state.shot;
      text.value = shot?.note ?? "";
    }
    write(title, `Note about shot ${state.shot + 1}`);
    show(text, shot?.note ?? "");
  });
  return h(
    "div",
    {},
    title,
    text,
    h("p", { class: "how" }, "Notes stand in the color script. They change no color."),
  );
}
