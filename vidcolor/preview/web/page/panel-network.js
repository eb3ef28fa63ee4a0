// @ts-check
/** Which network colors the film or the shot, with which weights, under which license. */

import { bytes, h, row, show, write } from "./dom.js";
import { edit } from "./edits.js";
import { shotNow, state } from "./state.js";

/** @param {() => string} scope "film" or "shot": for which it is chosen */
export function makeNetwork(scope) {
  const colorizer = h("select", {
    class: "field",
    id: "colorizer",
    "data-testid": "colorizer",
    onchange: () => choose(scope(), colorizer.value || null, null),
  });
  const weights = h("select", {
    class: "field",
    id: "weights",
    "data-testid": "weights",
    onchange: () => choose(scope(), colorizer.value || null, weights.value || null),
  });
  const about = h("p", { class: "help", "data-testid": "license" });
  const node = h(
    "div",
    { class: "network" },
    h(
      "div",
      { class: "control" },
      h("label", { class: "label", for: "colorizer" }, "Colorizer"),
      colorizer,
    ),
    h(
      "div",
      { class: "control" },
      h("label", { class: "label", for: "weights" }, "Weights"),
      weights,
    ),
    about,
  );
  return row(node, () => {
    const all = state.server?.colorizers ?? [];
    const as = scope() === "shot" ? "As in the film" : "As usual";
    const now = networkNow(scope());
    options(colorizer, [
      ["", as],
      ...all.map((one) => /** @type {[string, string]} */ ([one.name, one.name])),
    ]);
    show(colorizer, now.colorizer);
    const known = (state.server?.weights ?? []).filter(
      (one) => !now.colorizer || one.colorizer === now.colorizer,
    );
    options(
      weights,
      [
        ["", now.colorizer ? "Those that belong to it" : as],
        ...known.map(
          (one) =>
            /** @type {[string, string]} */ ([
              one.name,
              one.installed ? one.name : `${one.name} (not installed)`,
            ]),
        ),
      ],
      new Set(known.filter((one) => !one.installed).map((one) => one.name)),
    );
    show(weights, now.weights);
    write(about, aboutNetwork(scope(), now));
  });
}

/** @param {string} scope */
function networkNow(scope) {
  const shot = shotNow();
  const set = state.film?.settings ?? {};
  const word = (/** @type {any} */ value) => (value && value !== "auto" ? String(value) : "");
  return scope === "shot"
    ? { colorizer: word(shot?.colorizer), weights: word(shot?.weights) }
    : { colorizer: word(set["colorize.colorizer"]), weights: word(set["colorize.weights"]) };
}

/** @param {string} scope @param {string|null} colorizer @param {string|null} weights */
function choose(scope, colorizer, weights) {
  const shot = scope === "shot" ? state.shot : null;
  void edit(() => ({ do: "network", shot, colorizer, weights }));
}

/** @param {string} scope @param {{colorizer: string, weights: string}} now */
function aboutNetwork(scope, { colorizer, weights }) {
  const one = state.server?.colorizers.find(({ name }) => name === colorizer);
  const name = weights || /** @type {any} */ (one)?.default || one?.weights[0];
  const known = state.server?.weights.find((other) => other.name === name);
  if (!colorizer && !weights)
    return scope === "shot"
      ? "This shot is colored as the film is."
      : "The network that comes with vidcolor.";
  const title = one?.title && one.title !== one.name ? `${one.title}. ` : "";
  if (!known) return `${title}It has no weights yet: train some, or choose another.`;
  const size = known.bytes ? `, ${bytes(known.bytes)}` : "";
  const there = known.installed
    ? "installed"
    : `not installed: run “vidcolor weights fetch ${known.name}” and reload this page`;
  return `${title}${known.name}: license ${known.license}${size}, ${there}.`;
}

/** @param {HTMLSelectElement} select @param {[string, string][]} choices
 *  @param {Set<string>} [off] not to be chosen */
function options(select, choices, off = new Set()) {
  const text = JSON.stringify([choices, [...off]]);
  if (select.dataset.has === text) return;
  select.dataset.has = text;
  select.replaceChildren(
    ...choices.map(([value, label]) => h("option", { value, disabled: off.has(value) }, label)),
  );
}
