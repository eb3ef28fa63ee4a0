// @ts-check
/** Pictures that show what color things have. */

import { sendPicture } from "./api.js";
import { bytes, fillList, h, icon, iconButton, row, segment, write } from "./dom.js";
import { edit } from "./edits.js";
import { fail, forgetJob, goTo, previewSoon, refresh, showJob } from "./session.js";
import { on, shotNow, state } from "./state.js";
import { complain } from "./toast.js";

/** @typedef {import("./types.js").Reference} Reference */

const HOW = {
  film: "Like things get like colors, in all shots.",
  shot: "Like things get like colors, in this shot only.",
  frame: "The picture is this very frame, painted or colored elsewhere.",
};
/** @type {keyof typeof HOW} */
let use = "film";
let number = 0;

export function makePicturesPanel() {
  const how = h("p", { class: "how" });
  const where = segment(
    "Use it",
    [
      ["film", "In the film"],
      ["shot", "In this shot"],
      ["frame", "As this frame"],
    ],
    (value) => {
      use = /** @type {keyof typeof HOW} */ (value);
      where.fill(use);
      write(how, HOW[use]);
    },
    "picture-use",
  );
  where.fill(use);
  write(how, HOW[use]);
  const file = h("input", {
    type: "file",
    accept: "image/*",
    multiple: true,
    class: "file",
    id: "picture-file",
    "data-testid": "picture-file",
    onchange: () => {
      sendPictures([...(file.files ?? [])]);
      file.value = "";
    },
  });
  const drop = h(
    "label",
    { class: "drop", for: "picture-file", "data-testid": "picture-drop" },
    icon("plus"),
    h("span", {}, "Choose a color picture, or drop one here"),
  );
  const rows = h("ul", { class: "rows", "data-testid": "references" });
  const empty = h(
    "p",
    { class: "empty" },
    "None yet. Stills, postcards, or a frame that you have painted: " +
      "where a picture fits, its colors are taken; elsewhere nothing changes.",
  );
  const here = h("input", {
    type: "checkbox",
    class: "switch",
    role: "switch",
    "data-testid": "references-here",
    onchange: () => {
      const [shot, on_] = [state.shot, here.checked];
      void edit(() => ({ do: "references", shot, use: on_ }));
    },
  });
  const line = h(
    "label",
    { class: "control row" },
    h("span", { class: "label" }, "Pictures count in this shot"),
    here,
  );
  on(["film", "shot", "frame"], () => {
    const all = state.film?.references ?? [];
    fillList(rows, all, referenceRow);
    empty.hidden = all.length > 0;
    line.hidden = !all.length;
    here.checked = shotNow()?.references !== false;
  });
  return h(
    "div",
    {},
    h("h3", {}, "Use it"),
    where,
    how,
    file,
    drop,
    h("h3", {}, "Pictures"),
    rows,
    empty,
    line,
  );
}

function referenceRow() {
  /** @type {Reference} */
  let reference;
  const name = h("strong", {});
  const where = h("span", { class: "faint" });
  const go = h(
    "button",
    {
      type: "button",
      class: "grow plain",
      "data-testid": "reference-go",
      onclick: () => {
        const [shot] = shotsOf(reference);
        if (shot !== undefined) goTo(shot, reference.frame ?? 0);
      },
    },
    name,
    where,
  );
  const remove = iconButton(
    "trash",
    "Take this picture out",
    () => {
      void edit(() => ({ do: "remove_reference", id: reference.id }));
    },
    { testid: "reference-remove" },
  );
  return row(
    h(
      "li",
      { "data-testid": "reference" },
      h(
        "div",
        { class: "line" },
        icon("pictures"),
        go,
        remove,
      ),
    ),
    (/** @type {Reference} */ next) => {
      reference = next;
      write(name, reference.file.split("/").pop() ?? reference.file);
      go.disabled = !shotsOf(reference).length;
      go.title = go.disabled ? "" : "Go there";
      write(
        where,
        [
          whereUsed(reference),
          reference.strength !== 1 ? `strength ${reference.strength}` : "",
          reference.method && reference.method !== "auto" ? reference.method : "",
        ]
          .filter(Boolean)
          .join(" · "),
      );
    },
  );
}

/** Shots that a picture is for; none: all of them. @param {Reference} reference */
function shotsOf({ shot, shots }) {
  if (shots?.length) return shots;
  return shot === null || shot === undefined ? [] : [shot];
}

/** What a picture is for, seen from where they are. @param {Reference} reference */
function whereUsed(reference) {
  const shots = shotsOf(reference);
  if (!shots.length) return "for the whole film";
  const here = shots.length === 1 && shots[0] === state.shot;
  const numbers = shots.map((one) => one + 1).join(", ");
  const shot = here ? "this shot" : `${shots.length === 1 ? "shot" : "shots"} ${numbers}`;
  const { frame } = reference;
  if (frame === null || frame === undefined) return `for ${shot}`;
  return here && frame === state.frame ? "for this frame" : `for frame ${frame + 1} of ${shot}`;
}

/** @param {File[]} files */
export function sendPictures(files) {
  for (const file of files) void sendOne(file);
}

/** @param {File} file */
async function sendOne(file) {
  const most = state.server?.limits.picture_bytes ?? Infinity;
  if (file.size > most)
    return complain(
      `${file.name} has ${bytes(file.size)}; pictures may have ${bytes(most)}. ` +
        `Save it smaller and try again.`,
    );
  const [film, shot, frame] = [
    state.filmId,
    use === "film" ? null : state.shot,
    use === "frame" ? state.frame : null,
  ];
  const id = `picture-${++number}`;
  const tell = (/** @type {number} */ done, /** @type {number} */ total) =>
    showJob({
      id,
      kind: "upload",
      film,
      shot,
      title: `Sending ${file.name}`,
      state: "running",
      done,
      total,
      started: null,
      message: "",
      result: null,
      local: sending.cancel,
    });
  const sending = sendPicture(film, file, shot, frame, tell);
  try {
    await sending.answer;
    await refresh();
    previewSoon();
  } catch (error) {
    fail(error);
  } finally {
    forgetJob(id);
  }
}
