// @ts-check
/** Keys that work wherever nobody is writing. */

import { byId } from "./dom.js";
import { step as history } from "./edits.js";
import { toggle } from "./playback.js";
import { goTo, preview } from "./session.js";
import { state, update } from "./state.js";
import { step, toggleOverlay } from "./transport.js";
import { fit, trueSize, zoomBy } from "./view.js";

/** @param {typeof state.tool} name */
const tool = (name) => update({ tool: name, panel: "color" });
const COMPARE = /** @type {const} */ (["before", "split", "after"]);

/** Key, what it does for people, and what it does.
 * @type {[keys: string, words: string, act: () => void][]} */
const KEYS = [
  [" ", "Play or pause the shot", toggle],
  [",", "One frame back", () => step(-1)],
  [".", "One frame on", () => step(1)],
  ["PageUp", "Shot before", () => goTo(state.shot - 1)],
  ["PageDown", "Next shot", () => goTo(state.shot + 1)],
  [
    "c",
    "Before, both, after",
    () => update({ compare: COMPARE[(COMPARE.indexOf(state.compare) + 1) % 3] }),
  ],
  ["p", "Color this shot", () => void preview()],
  ["v", "Look", () => tool("look")],
  ["d", "Dot", () => tool("dot")],
  ["s", "Stroke", () => tool("stroke")],
  ["a", "Area", () => tool("area")],
  ["o", "Object", () => tool("object")],
  ["h", "Show hints", () => toggleOverlay("hints")],
  ["b", "Show objects", () => toggleOverlay("boxes")],
  ["r", "Show where your word reaches", () => toggleOverlay("sure")],
  ["x", "Show damage", () => toggleOverlay("damage")],
  ["0", "All of the picture", fit],
  ["1", "True size", trueSize],
  ["+", "Larger", () => zoomBy(1.5)],
  ["-", "Smaller", () => zoomBy(1 / 1.5)],
  ["m", "Sound on or off", () => update({ muted: !state.muted })],
  ["?", "These keys", () => /** @type {HTMLDialogElement} */ (byId("keys")).showModal()],
];

const NAMES = /** @type {Record<string, string>} */ ({
  " ": "Space",
  PageUp: "Page up",
  PageDown: "Page down",
});
const MORE = [
  ["Ctrl Z", "Undo"],
  ["Ctrl Shift Z", "Redo"],
  [
    "Arrow keys",
    "On the line: move it. On the picture: frames, or the cross of a tool. On the strip: shots",
  ],
  [
    "Enter",
    "With a tool, on the picture: set a point; twice at one place ends a stroke or an area",
  ],
  ["Esc", "Put the tool away"],
];

export function startKeys() {
  const list = byId("key-list");
  for (const [keys, words] of [
    ...KEYS.map(([key, text]) => [NAMES[key] ?? key.toUpperCase(), text]),
    ...MORE,
  ]) {
    const [term, about] = [document.createElement("dt"), document.createElement("dd")];
    for (const key of keys.startsWith("Ctrl") ? keys.split(" ") : [keys]) {
      const cap = document.createElement("kbd");
      cap.textContent = key;
      term.append(cap);
    }
    about.textContent = words;
    list.append(term, about);
  }
  byId("keys-open").addEventListener("click", () =>
    /** @type {HTMLDialogElement} */ (byId("keys")).showModal(),
  );
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());
    // A click beside the sheet closes it, as people expect.
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
  addEventListener("keydown", press);
}

/** @param {KeyboardEvent} event */
function press(event) {
  const at = /** @type {HTMLElement} */ (event.target);
  if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
  if (at.matches("textarea, select, input:not([type=range], [type=checkbox], [type=color])"))
    return;
  if ((event.ctrlKey || event.metaKey) && !event.altKey) return undoKeys(event);
  if (event.altKey || !state.film) return void (event.key === "?" && show());
  if (event.key === "Escape" && state.tool !== "look") return update({ tool: "look" });
  // Space on a button presses the button; on a list or a slider, keys belong to it.
  if (event.key === " " && at.matches("button, summary, a, input, label")) return;
  if (at.matches("input") && event.key.length > 1) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const found = KEYS.find(([key]) => key === (name === "=" ? "+" : name));
  if (!found) return;
  event.preventDefault();
  found[2]();
}

function show() {
  /** @type {HTMLDialogElement} */ (byId("keys")).showModal();
}

/** @param {KeyboardEvent} event */
function undoKeys(event) {
  const key = event.key.toLowerCase();
  if (key !== "z" && key !== "y") return;
  event.preventDefault();
  void history(key === "y" || event.shiftKey ? "redo" : "undo");
}
