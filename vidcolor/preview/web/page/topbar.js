// @ts-check
/** Above the picture: the film, undo, whether all is saved, and what the page looks like. */

import { addresses } from "./api.js";
import { byId, setIcon, write } from "./dom.js";
import { step } from "./edits.js";
import { previewSoon, refresh } from "./session.js";
import { on, state, update } from "./state.js";

const THEMES = /** @type {Record<string, [icon: string, text: string, next: string]>} */ ({
  auto: ["half", "Theme: as the system", "dark"],
  dark: ["moon", "Theme: dark", "light"],
  light: ["sun", "Theme: light", "auto"],
});

/** @param {string} text */
const sentence = (text) => (text && !/[.!?]$/.test(text) ? `${text}.` : text);

export function startTopbar() {
  byId("undo").addEventListener("click", () => void step("undo"));
  byId("redo").addEventListener("click", () => void step("redo"));
  const auto = /** @type {HTMLInputElement} */ (byId("auto-preview"));
  auto.addEventListener("change", () => {
    update({ autoPreview: auto.checked });
    if (auto.checked) previewSoon();
  });
  byId("theme").addEventListener("click", () =>
    update({ theme: (THEMES[state.theme] ?? THEMES.auto)[2] }),
  );
  byId("again").addEventListener("click", () => location.reload());
  byId("look-again").addEventListener("click", () => void refresh());
  on(["theme"], () => {
    const [picture, text] = THEMES[state.theme] ?? THEMES.auto;
    document.documentElement.dataset.theme = state.theme;
    setIcon(byId("theme"), picture);
    byId("theme").setAttribute("aria-label", text);
    byId("theme").title = text;
  });
  on(["autoPreview"], () => (auto.checked = state.autoPreview));
  on(["film", "filmId"], () => {
    const film = state.film;
    write(byId("film-name"), film?.name ?? "Open a film");
    document.title = film ? `${film.name} · vidcolor` : "vidcolor";
    /** @type {HTMLButtonElement} */ (byId("undo")).disabled = !film?.can_undo;
    /** @type {HTMLButtonElement} */ (byId("redo")).disabled = !film?.can_redo;
    byId("saved").hidden = !film?.ready;
    if (film) /** @type {HTMLAnchorElement} */ (byId("script")).href = addresses.script(film.id);
  });
  on(["film", "saving"], () => {
    const texts = {
      saved: "Everything is saved in",
      saving: "Saving in",
      failed: "The last change was not saved in",
    };
    write(byId("saved-words"), texts[state.saving]);
    write(byId("script"), state.film?.script_name ?? "");
    byId("saved").dataset.state = state.saving;
  });
  on(["film"], () => {
    byId("broken").hidden = !state.film?.problem;
    write(byId("broken-words"), sentence(state.film?.problem ?? ""));
  });
  on(["connection"], () => (byId("lost").hidden = state.connection !== "lost"));
}
