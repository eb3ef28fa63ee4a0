// @ts-check
/** Which network, how still, how much: for the film, or for this shot alone. */

import { fillList, h, iconButton, quiet, row, segment, show, write } from "./dom.js";
import { edit } from "./edits.js";
import { makeNetwork } from "./panel-network.js";
import { on, shotNow, state } from "./state.js";

/** @typedef {import("./types.js").Control} Control */

const SAVE_MS = 350;
const NETWORK = ["colorize.colorizer", "colorize.weights"];
const FIRST_OPEN = ["Look", "Taste"];
// What a control's first word is about; anything new goes under "More".
const GROUPS = /** @type {Record<string, string>} */ ({
  grade: "Taste",
  compose: "Taste",
  colorize: "Network",
  cadence: "Network",
  detect: "Objects",
  remember: "Objects",
  stabilize: "Holding still",
  anchor: "Holding still",
  restore: "Repair",
  output: "The rendered file",
});
const ORDER = [
  "Taste",
  "Holding still",
  "Objects",
  "Repair",
  "Network",
  "More",
  "The rendered file",
];

let scope = "film";

const shotOrNull = () => (scope === "shot" ? state.shot : null);

export function makeSettingsPanel() {
  const which = segment(
    "Set for",
    [
      ["film", "Whole film"],
      ["shot", "This shot only"],
    ],
    (value) => {
      scope = value;
      fill();
    },
    "scope",
  );
  const groups = h("div", {});
  const reset = iconButton("reset", "All as usual", resetAll, { text: true, testid: "reset-all" });
  const fill = () => {
    which.fill(scope);
    const controls = (state.server?.controls ?? []).filter(
      (one) => !NETWORK.includes(one.key) && (one.scope === "both" || one.scope === scope),
    );
    const named = ORDER.map((name) => ({
      name,
      controls: controls.filter((one) => groupOf(one) === name),
    }));
    fillList(
      groups,
      named.filter((one) => one.controls.length),
      groupNode,
    );
    reset.disabled = !setKeys().length;
  };
  const network = makeNetwork(() => scope);
  on(["server", "film", "shot"], () => {
    fill();
    network.fill(null);
  });
  which.addEventListener("click", () => network.fill(null));
  return h("div", {}, which, network, groups, h("div", { class: "line" }, reset));
}

/** @param {Control} control */
function groupOf(control) {
  return GROUPS[control.key.split(".")[0]] ?? "More";
}

function groupNode() {
  const title = h("span", {});
  const count = h("span", { class: "count" });
  const inner = h("div", {});
  const node = h("details", { class: "group" }, h("summary", {}, title, count), inner);
  let named = "";
  return row(node, (/** @type {{name: string, controls: Control[]}} */ { name, controls }) => {
    if (name !== named) node.open = FIRST_OPEN.includes(name);
    named = name;
    write(title, name);
    const set = controls.filter((one) => valueOf(one) !== undefined).length;
    write(count, set ? `${set} set` : "");
    // Kinds of control differ in their nodes: rows of another kind are made anew.
    const kinds = controls.map((one) => one.key).join();
    if (inner.dataset.keys !== kinds) inner.replaceChildren();
    inner.dataset.keys = kinds;
    fillList(inner, controls, () => controlNode(controls[inner.children.length]));
  });
}

// Values --------------------------------------------------------------------------------------

/** What is set here, if it is. @param {Control} control @returns {any} */
function valueOf({ key }) {
  const shot = shotNow();
  const [settings, grade] =
    scope === "shot" ? [shot?.settings, shot?.grade] : [state.film?.settings, state.film?.grade];
  return key.startsWith("grade.") ? (grade?.[key.slice(6)] ?? settings?.[key]) : settings?.[key];
}

/** What counts where nothing is set here. @param {Control} control @returns {any} */
function usual(control) {
  const film = state.film;
  if (scope === "shot") {
    // A shot's grade comes before the film's and does not replace it.
    if (control.key.startsWith("grade.")) return control.default;
    return film?.settings[control.key] ?? film?.effective[control.key] ?? control.default;
  }
  const effective = control.key.startsWith("grade.") ? undefined : film?.effective[control.key];
  return effective ?? control.default;
}

/** @param {string} key @param {any} value null: as usual @param {number|null} shot */
function change(key, value, shot) {
  return key.startsWith("grade.")
    ? { do: "grade", shot, field: key.slice(6), value }
    : { do: "setting", shot, key, value };
}

/** @param {Control} control @param {any} value */
function save(control, value) {
  const shot = shotOrNull();
  void edit(() => change(control.key, value, shot));
}

function setKeys() {
  return (state.server?.controls ?? []).filter(
    (one) =>
      !NETWORK.includes(one.key) &&
      (one.scope === "both" || one.scope === scope) &&
      valueOf(one) !== undefined,
  );
}

function resetAll() {
  const shot = shotOrNull();
  void edit(() => setKeys().map((control) => change(control.key, null, shot)));
}

// One control ---------------------------------------------------------------------------------

/** @param {Control} control */
function controlNode(control) {
  const made = { switch: makeSwitch, choice: makeChoice, number: makeNumber }[control.kind](
    control,
  );
  const reset = iconButton("reset", `${control.label}: as usual`, () => save(control, null), {
    class: "button bare tiny",
  });
  const help = control.help ? h("p", { class: "help" }, control.help) : null;
  const node = h(
    "div",
    { class: `control of-${control.kind}`, "data-testid": `control-${control.key}` },
    h(
      "div",
      { class: "line" },
      h("label", { class: "label grow", for: made.id }, control.label),
      made.value,
      reset,
    ),
    made.input,
    help,
  );
  if (control.kind === "switch") node.firstElementChild?.insertBefore(made.input, reset);
  return row(node, (/** @type {Control} */ next) => {
    const set = valueOf(next);
    node.classList.toggle("set", set !== undefined);
    reset.classList.toggle("away", set === undefined);
    made.fill(set ?? usual(next));
  });
}

/** @param {Control} control */
const idOf = (control) => `control-${control.key.replaceAll(".", "-")}`;

/** @param {Control} control */
function makeSwitch(control) {
  const input = h("input", {
    type: "checkbox",
    class: "switch",
    role: "switch",
    id: idOf(control),
    onchange: () => save(control, input.checked),
  });
  return {
    id: input.id,
    input,
    value: null,
    fill: (/** @type {any} */ value) => (input.checked = Boolean(value)),
  };
}

/** @param {Control} control */
function makeChoice(control) {
  const choices = control.choices ?? [];
  const input = h(
    "select",
    {
      class: "field",
      id: idOf(control),
      onchange: () => save(control, choices[input.selectedIndex]),
    },
    ...choices.map((choice) => h("option", { value: choice }, String(choice))),
  );
  return {
    id: input.id,
    input,
    value: null,
    fill: (/** @type {any} */ value) => show(input, value),
  };
}

/** @param {Control} control */
function makeNumber(control) {
  const value = h("input", {
    type: "number",
    class: "amount",
    min: control.least,
    max: control.most,
    step: control.step ?? "any",
    "aria-label": `${control.label}, number`,
    onchange: () =>
      value.value !== "" && value.validity.valid && save(control, Number(value.value)),
  });
  const input = h("input", {
    type: "range",
    min: control.least,
    max: control.most,
    step: control.step ?? "any",
    id: idOf(control),
    oninput: () => {
      value.value = input.value;
      soon(Number(input.value));
    },
  });
  const soon = quiet(SAVE_MS, (/** @type {number} */ number) => save(control, number));
  return {
    id: input.id,
    input,
    value,
    fill: (/** @type {any} */ number) => {
      // A slider in the hand is not moved by what comes back of its own last step.
      if (document.activeElement !== input || Number(input.value) !== number)
        input.value = String(number ?? control.least ?? 0);
      show(value, number ?? "");
    },
  };
}
