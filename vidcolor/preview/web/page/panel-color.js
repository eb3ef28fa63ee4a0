// @ts-check
/** Saying colors: a tool, a color, a click; and what has been said of this shot. */

import { fillList, h, icon, iconButton, quiet, row, say, segment, show, write } from "./dom.js";
import { edit } from "./edits.js";
import { calledTrack, tracksHere } from "./objects.js";
import { hintsHere } from "./overlay.js";
import { makePicker, remember } from "./picker.js";
import { goTo } from "./session.js";
import { on, state, update } from "./state.js";

/** @typedef {import("./types.js").Hint} Hint */

const SAVE_MS = 350;

const TOOLS = /** @type {[typeof state.tool, string, string, string][]} */ ([
  ["look", "Look", "v", "Drag over the picture to compare. Scroll or pinch to zoom."],
  ["dot", "Dot", "d", "Click on a thing: it gets this color through the shot."],
  ["stroke", "Stroke", "s", "Draw over the light and the dark of a thing."],
  ["area", "Area", "a", "Draw around a thing that is to be filled."],
  ["object", "Object", "o", "Click in a box: this object has the color in the whole film."],
]);

export function makeColorPanel() {
  return h("div", {}, tools(), h("h3", {}, "Color"), makePicker(), details(), whole(), list());
}

function tools() {
  const bar = h("div", { class: "tools", role: "group", "aria-label": "Tool" });
  for (const [tool, text, key] of TOOLS)
    bar.append(
      h(
        "button",
        {
          type: "button",
          "data-tool": tool,
          "data-testid": `tool-${tool}`,
          "aria-pressed": "false",
          title: `${text} (${key.toUpperCase()})`,
          onclick: () => update({ tool }),
        },
        icon(tool),
        h("span", {}, text),
      ),
    );
  const how = h("p", { class: "how", "data-testid": "how" });
  on(["tool"], () => {
    for (const button of bar.children)
      button.setAttribute("aria-pressed", String(button.getAttribute("data-tool") === state.tool));
    write(how, TOOLS.find(([tool]) => tool === state.tool)?.[3] ?? "");
  });
  return h("div", {}, bar, how);
}

function details() {
  const radius = slider(
    "Width",
    "stroke-width",
    0.002,
    0.08,
    0.002,
    () => state.radius,
    (value) => update({ radius: value }),
    (value) => `${(value * 200).toFixed(1)} % of the height`,
  );
  const reach = slider(
    "Reach",
    "reach",
    0,
    3,
    0.1,
    () => state.reach,
    (value) => update({ reach: value }),
    (value) => (value === 1 ? "as usual" : `${value.toFixed(1)} times`),
  );
  const bind = h("div", { class: "control" }, h("span", { class: "label" }, "Follows"));
  const which = segment(
    "Follows",
    [
      ["auto", "the object under it"],
      ["none", "the picture only"],
    ],
    (value) => update({ bind: value }),
    "bind",
  );
  bind.append(which);
  const box = h("div", { class: "details" }, radius, reach, bind);
  on(["tool", "bind"], () => {
    box.hidden = state.tool === "look" || state.tool === "object";
    radius.hidden = state.tool !== "stroke";
    which.fill(state.bind);
  });
  return box;
}

/**
 * @param {string} label @param {string} testid @param {number} least @param {number} most
 * @param {number} step @param {() => number} get @param {(value: number) => void} set
 * @param {(value: number) => string} words
 */
function slider(label, testid, least, most, step, get, set, words) {
  const input = h("input", {
    type: "range",
    min: least,
    max: most,
    step,
    "data-testid": testid,
    oninput: () => set(Number(input.value)),
  });
  const value = h("output", {});
  on(["radius", "reach"], () => {
    show(input, get());
    write(value, words(get()));
    input.setAttribute("aria-valuetext", words(get()));
  });
  return h("label", { class: "control" }, h("span", { class: "label" }, label), value, input);
}

/** One color for all that no other hint reaches. */
function whole() {
  const well = h("i", { class: "ink" });
  const button = h(
    "button",
    {
      type: "button",
      class: "button small",
      "data-testid": "whole-shot",
      title: "Everything in this shot that no other hint reaches gets this color",
      onclick: sayWhole,
    },
    well,
    h("span", {}, "Give the rest of the shot this color"),
  );
  on(["color", "film"], () => {
    // What nothing reaches is automatic by itself.
    button.disabled = !state.film?.ready || state.color === "auto";
    well.style.backgroundColor = state.color.startsWith("#") ? state.color : "#808080";
  });
  return h("div", { class: "line whole" }, button);
}

function sayWhole() {
  const { shot, color } = state;
  remember(color);
  void edit(() => {
    // There is one color for the rest: saying another one changes it.
    const said = state.film?.hints.find(
      (hint) => hint.shot === shot && hint.kind === "whole" && !isObject(hint),
    );
    if (said) return { do: "change_hint", id: said.id, color };
    return { do: "add_hint", shot, whole: true, color };
  }).then((saved) => saved && say(`The rest of the shot is ${color}.`));
}

/** @param {Hint} hint */
const isObject = (hint) => typeof hint.track === "number";

// What has been said --------------------------------------------------------------------------

function list() {
  const title = h("h3", {}, "Said of this shot");
  const hints = h("ul", { class: "rows", "data-testid": "hints" });
  const empty = h(
    "p",
    { class: "empty" },
    "Nothing yet. Choose the dot and a color, then click on a thing in the picture.",
  );
  on(["film", "shot", "hint"], () => {
    const here = hintsHere();
    empty.hidden = here.length > 0;
    fillList(hints, here, hintRow);
  });
  return h("div", {}, title, hints, empty);
}

const KINDS = { points: "Dot", region: "Area", whole: "Whole" };

function hintRow() {
  /** @type {Hint} */
  let hint;
  const save = (/** @type {object} */ words) =>
    void edit(() => ({ do: "change_hint", id: hint.id, ...words }));
  const recolor = quiet(SAVE_MS, () => save({ color: well.value }));
  const well = h("input", {
    type: "color",
    class: "well small",
    "data-testid": "hint-color",
    oninput: () => recolor(),
  });
  const name = h("strong", {});
  const where = h("span", { class: "faint" });
  const go = h(
    "button",
    {
      type: "button",
      class: "grow plain",
      "data-testid": "hint-go",
      onclick: () => {
        goTo(state.shot, hint.kind === "whole" ? state.frame : (hint.frame ?? state.frame));
        update({ hint: state.hint === hint.id ? null : hint.id });
        // What unfolds is to be seen; it unfolds once the change has been told.
        requestAnimationFrame(() => item.scrollIntoView({ block: "nearest" }));
      },
    },
    name,
    where,
  );
  const remove = iconButton(
    "trash",
    "Remove this hint",
    () => {
      void edit(() => ({ do: "remove_hint", id: hint.id }));
    },
    { testid: "hint-remove" },
  );
  const reach = h("input", {
    type: "range",
    min: 0,
    max: 3,
    step: 0.1,
    "aria-label": "Reach",
    onchange: () => save({ reach: Number(reach.value) }),
  });
  const note = h("input", {
    type: "text",
    class: "field",
    placeholder: "Note",
    "aria-label": "Note",
    maxlength: 200,
    onchange: () => save({ note: note.value }),
  });
  const auto = h(
    "button",
    { type: "button", class: "button small", onclick: () => save({ color: "auto" }) },
    "Keep automatic",
  );
  const gray = h(
    "button",
    { type: "button", class: "button small", onclick: () => save({ color: "gray" }) },
    "Gray",
  );
  const reaches = h(
    "label",
    { class: "control" },
    h("span", { class: "label" }, "Reach"),
    reach,
  );
  const more = h(
    "div",
    { class: "more" },
    reaches,
    note,
    h("div", { class: "line" }, auto, gray),
  );
  const item = h(
    "li",
    { "data-testid": "hint" },
    h("div", { class: "line" }, well, go, remove),
    more,
  );
  return row(item, (/** @type {Hint} */ next) => {
    hint = next;
    const whole = hint.kind === "whole";
    const kind =
      hint.kind === "points" && hint.points.flat().length > 2 ? "Stroke" : KINDS[hint.kind];
    const track = tracksHere().find((one) => one.id === hint.track);
    if (document.activeElement !== well) well.value = hint.hex ?? "#808080";
    reaches.hidden = whole;
    well.setAttribute("aria-label", `Color of ${kind.toLowerCase()}, ${hint.color}`);
    well.classList.toggle("off", hint.color === "auto");
    write(name, whole ? (track ? calledTrack(track) : "The rest of the shot") : kind);
    const frame = whole || hint.frame === null ? "all frames" : `frame ${hint.frame + 1}`;
    write(
      where,
      [
        hint.color === "auto" ? "automatic" : hint.color,
        frame,
        track && hint.kind !== "whole" ? calledTrack(track) : "",
        hint.note,
      ]
        .filter(Boolean)
        .join(" · "),
    );
    item.classList.toggle("chosen", hint.id === state.hint);
    more.hidden = hint.id !== state.hint;
    show(reach, hint.reach ?? 1);
    show(note, hint.note ?? "");
  });
}
