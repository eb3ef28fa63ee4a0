// @ts-check
/** Which color: any, one used before, one by name; or none of them: automatic, gray. */

import { h, icon, iconButton, row, fillList, say, show } from "./dom.js";
import { on, state, update } from "./state.js";

const MOST_RECENT = 10;
// Things that films are full of; the rest of the names is found by typing.
const EVERYDAY = [
  "peachpuff",
  "tan",
  "peru",
  "sienna",
  "saddlebrown",
  "maroon",
  "firebrick",
  "indianred",
  "goldenrod",
  "khaki",
  "olive",
  "darkolivegreen",
  "forestgreen",
  "seagreen",
  "teal",
  "cadetblue",
  "skyblue",
  "steelblue",
  "royalblue",
  "navy",
  "slategray",
  "rebeccapurple",
  "plum",
  "pink",
];

/** "#aabbcc" of what somebody wrote; null if it is no color. @param {string} word */
export function hexOf(word) {
  const name = word.trim().toLowerCase();
  if (/^#[0-9a-f]{6}$/.test(name)) return name;
  if (/^#[0-9a-f]{3}$/.test(name)) return `#${[...name.slice(1)].map((one) => one + one).join("")}`;
  const plain = name.replaceAll(/[\s_-]/g, "");
  return state.server?.named_colors.find((color) => color.name === plain)?.hex ?? null;
}

/** A color that was used comes first next time. @param {string} color */
export function remember(color) {
  if (!color.startsWith("#")) return;
  update({ recent: [color, ...state.recent.filter((one) => one !== color)].slice(0, MOST_RECENT) });
}

/** @param {string} color */
function choose(color) {
  update({ color });
}

export function makePicker() {
  const native = h("input", {
    type: "color",
    class: "well",
    "aria-label": "Choose any color",
    "data-testid": "color-input",
    oninput: () => choose(native.value),
  });
  const word = h("input", {
    type: "text",
    class: "field grow",
    list: "names",
    spellcheck: "false",
    autocomplete: "off",
    "aria-label": "Color as #rrggbb or by name",
    "data-testid": "color-word",
    placeholder: "#rrggbb or a name",
    onchange: () => read(),
  });
  const problem = h("p", { class: "problem", hidden: true, role: "alert" });
  const names = h("datalist", { id: "names" });
  const read = () => {
    const hex = hexOf(word.value);
    problem.hidden = Boolean(hex);
    problem.textContent = hex
      ? ""
      : `“${word.value}” is no color. Write #rrggbb or a name such as steelblue.`;
    if (hex) choose(hex);
  };
  const line = h("div", { class: "line" }, native, word);
  if ("EyeDropper" in window)
    line.append(iconButton("dropper", "Take a color from the screen", takeFromScreen));
  const special = h(
    "div",
    { class: "line wrap" },
    choice("auto", "Keep automatic", "Other hints do not run in here"),
    choice("gray", "Gray", "Stays without color"),
  );
  const recent = h("div", {
    class: "swatches",
    "data-testid": "recent",
    role: "group",
    "aria-label": "Used before",
  });
  const everyday = h("div", { class: "swatches", role: "group", "aria-label": "Everyday colors" });
  on(["server"], () => {
    const all = state.server?.named_colors ?? [];
    names.replaceChildren(...all.map(({ name }) => h("option", { value: name })));
    const chosen = EVERYDAY.map((name) => all.find((color) => color.name === name)).filter(
      (one) => one !== undefined,
    );
    fillList(everyday, chosen, swatch);
  });
  on(["recent"], () =>
    fillList(
      recent,
      state.recent.map((hex) => ({ name: hex, hex })),
      swatch,
    ),
  );
  on(["color"], () => {
    if (state.color.startsWith("#")) native.value = state.color;
    show(word, state.color.startsWith("#") ? state.color : "");
    problem.hidden = true;
    for (const button of special.children)
      button.setAttribute(
        "aria-pressed",
        String(button.getAttribute("data-color") === state.color),
      );
    native.classList.toggle("off", !state.color.startsWith("#"));
  });
  on(["recent"], () => (recentTitle.hidden = !state.recent.length));
  return h(
    "div",
    { class: "picker" },
    line,
    problem,
    names,
    special,
    recentTitle,
    recent,
    h("h4", {}, "Everyday colors"),
    everyday,
  );
}

const recentTitle = h("h4", { hidden: true }, "Used before");

/** @param {string} color @param {string} text @param {string} why */
function choice(color, text, why) {
  return h(
    "button",
    {
      type: "button",
      class: "button small toggle",
      "data-color": color,
      title: why,
      "data-testid": `color-${color}`,
      "aria-pressed": "false",
      onclick: () => choose(color),
    },
    icon(color === "auto" ? "reset" : "half"),
    h("span", {}, text),
  );
}

function swatch() {
  const button = h("button", { type: "button", class: "swatch", "data-testid": "swatch" });
  let color = "";
  button.addEventListener("click", () => choose(color));
  return row(button, (/** @type {{name: string, hex: string}} */ { name, hex }) => {
    color = hex;
    button.title = name;
    button.setAttribute("aria-label", name);
    button.style.backgroundColor = hex;
  });
}

async function takeFromScreen() {
  try {
    const { sRGBHex } = await new /** @type {any} */ (window).EyeDropper().open();
    choose(sRGBHex);
    say(`${sRGBHex} taken.`);
  } catch {
    // They pressed Escape.
  }
}
