// @ts-check
/** Small hands for the document: building, lists that keep their nodes, saying things aloud. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. Names that begin with `on` are listeners; `true` is an attribute without value.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [has]
 * @param {...(Node|string|null)} inner
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, has = {}, ...inner) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(has)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(.../** @type {(Node|string)[]} */ (inner.filter((part) => part !== null)));
  return node;
}

/** @param {string} id */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`index.html has no #${id}`);
  return node;
}

// Drawn for this page on a grid of 24; strokes take the color of the text beside them.
const ICONS = {
  play: "M8 5.5v13l10.5-6.5z",
  pause: "M8 5.5v13M16 5.5v13",
  back: "M15 6l-6 6 6 6",
  forth: "M9 6l6 6-6 6",
  undo: "M9 7L4.5 11.5 9 16M5 11.5h9a5.5 5.5 0 0 1 0 8h-2.5",
  redo: "M15 7l4.5 4.5L15 16M19 11.5h-9a5.5 5.5 0 0 0 0 8h2.5",
  film: "M4 5h16v14H4zM8 5v14M16 5v14M4 9.5h4M4 14.5h4M16 9.5h4M16 14.5h4",
  look: "M5 12h14M12 4v16M8 9l-3 3 3 3M16 9l3 3-3 3",
  dot: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v3M12 18.5v3M2.5 12h3M18.5 12h3",
  stroke: "M4 18c3.5-9 6 2 9-4s3-8 7-8",
  area: "M5 8.5l7-4.5 7 5-2.5 9.5-9 1z",
  object: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M12 8.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z",
  color: "M12 3.5c4 4.6 6 7.4 6 10.3a6 6 0 0 1-12 0c0-2.9 2-5.7 6-10.3z",
  objects: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M9 9h6v6H9z",
  pictures: "M4 5h16v14H4zM4 16l5-5 4 4 2.5-2.5L20 17M15.5 8.5v.01",
  sliders: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  notes: "M6 4h12v16H6zM9 9h6M9 12.5h6M9 16h3",
  trash: "M5 7h14M10 4h4M7 7l1 13h8l1-13M10.5 10.5v6M13.5 10.5v6",
  close: "M6 6l12 12M18 6L6 18",
  check: "M5 12.5l4.5 4.5L19 7.5",
  plus: "M12 5v14M5 12h14",
  down: "M6 9.5l6 6 6-6",
  sound: "M4 10v4h3.5L12 18V6l-4.5 4zM15.5 9a4.5 4.5 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11",
  silent: "M4 10v4h3.5L12 18V6l-4.5 4zM16 9.5l5 5M21 9.5l-5 5",
  loop: "M5 11a6 6 0 0 1 6-5h8M16 3l3 3-3 3M19 13a6 6 0 0 1-6 5H5M8 21l-3-3 3-3",
  damage: "M4 5h16v14H4zM8 5l3 5-2 3 4 6M16 9.5v.01M16.5 14.5v.01",
  sure:
    "M10 12a2 2 0 1 0 4 0 2 2 0 1 0-4 0M12 6.5a5.5 5.5 0 0 1 5.5 5.5M12 3a9 9 0 0 1 9 9" +
    "M12 17.5A5.5 5.5 0 0 1 6.5 12M12 21a9 9 0 0 1-9-9",
  zoom: "M10.5 5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM15 15l5 5M8 10.5h5M10.5 8v5",
  sun:
    "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2" +
    "M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
  half: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  pin: "M9 4h6l-1 6 3.5 3.5h-11L10 10zM12 13.5V20",
  merge: "M6 4v4c0 4 6 4 6 8v4M18 4v4c0 4-6 4-6 8",
  part: "M6 20v-4c0-4 6-4 6-8V4M18 20v-4c0-4-6-4-6-8",
  upload: "M12 15.5V4.5M7.5 9L12 4.5 16.5 9M4.5 15v4.5h15V15",
  download: "M12 4.5v11M7.5 11l4.5 4.5 4.5-4.5M4.5 15v4.5h15V15",
  reset: "M6 5v5h5M6.5 10A7 7 0 1 1 5 14",
  dropper: "M13.5 7.5l3 3L8 19H5v-3zM12 6l6 6M15 9l3-3.5a2 2 0 0 0-2.5-2.5z",
};

/** @param {string} name @returns {SVGSVGElement} */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", /** @type {any} */ (ICONS)[name] ?? "");
  svg.append(path);
  return svg;
}

/**
 * A button with an icon.
 * @param {string} picture @param {string} label @param {() => void} act
 * @param {{testid?: string, keys?: string, text?: boolean, class?: string}} [more]
 */
export function iconButton(picture, label, act, more = {}) {
  return h(
    "button",
    {
      type: "button",
      class: more.class ?? (more.text ? "button" : "button bare"),
      "aria-label": more.text ? null : label,
      title: more.keys ? `${label} (${more.keys})` : label,
      "data-testid": more.testid,
      onclick: act,
    },
    icon(picture),
    more.text ? h("span", {}, label) : null,
  );
}

/** @param {Element} button @param {string} name */
export function setIcon(button, name) {
  const path = button.querySelector("path");
  path?.setAttribute("d", /** @type {any} */ (ICONS)[name]);
}

/**
 * Makes the children of `list` show `items`. Nodes stay where they are and are filled anew, so
 * that focus, open menus and half-written words survive what another tab changes.
 * @template T
 * @param {HTMLElement} list
 * @param {T[]} items
 * @param {() => HTMLElement & {fill: (item: T) => void}} make
 */
export function fillList(list, items, make) {
  while (list.children.length > items.length) list.lastElementChild?.remove();
  while (list.children.length < items.length) list.append(make());
  items.forEach((item, place) => /** @type {any} */ (list.children[place]).fill(item));
}

/**
 * A row for `fillList`.
 * @template T
 * @param {HTMLElement} node
 * @param {(item: T) => void} fill
 * @returns {any}
 */
export function row(node, fill) {
  return Object.assign(node, { fill });
}

/**
 * Sets what a field shows, unless somebody is writing in it.
 * @param {HTMLInputElement|HTMLTextAreaElement|HTMLSelectElement} field @param {any} value
 */
export function show(field, value) {
  if (field instanceof HTMLInputElement && field.type === "checkbox")
    field.checked = Boolean(value);
  else if (document.activeElement !== field || field instanceof HTMLSelectElement)
    if (field.value !== String(value)) field.value = String(value);
}

/** Fills a text only when it differs, so that screen readers do not repeat it.
 * @param {Element} node @param {string} text */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {string} text Said aloud by screen readers. */
export function say(text) {
  write(byId("live"), text);
}

/**
 * One of several: a group of buttons of which one is pressed.
 * @param {string} label @param {[value: string, text: string][]} choices
 * @param {(value: string) => void} choose @param {string} testid
 */
export function segment(label, choices, choose, testid) {
  const group = h("div", {
    class: "segment",
    role: "group",
    "aria-label": label,
    "data-testid": testid,
  });
  for (const [value, text] of choices)
    group.append(
      h(
        "button",
        {
          type: "button",
          "data-value": value,
          "data-testid": `${testid}-${value}`,
          "aria-pressed": "false",
          onclick: () => choose(value),
        },
        text,
      ),
    );
  return row(group, (/** @type {string} */ now) => {
    for (const button of group.children)
      button.setAttribute("aria-pressed", String(button.getAttribute("data-value") === now));
  });
}

/**
 * Calls `act` once things have been quiet.
 * @template {any[]} A
 * @param {number} ms @param {(...given: A) => void} act
 */
export function quiet(ms, act) {
  let timer = 0;
  const later = (/** @type {A} */ ...given) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => act(...given), ms);
  };
  return Object.assign(later, { stop: () => clearTimeout(timer) });
}

/** "0:01:02.480" as "1:02.5". @param {number} seconds */
export function clock(seconds) {
  const tenths = Math.max(0, Math.round(seconds * 10));
  const [hours, minutes] = [Math.floor(tenths / 36000), Math.floor(tenths / 600) % 60];
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Seconds of "h:mm:ss.mmm". @param {string|number} time */
export function seconds(time) {
  return (
    String(time)
      .split(":")
      .reduce((sum, part) => sum * 60 + Number(part), 0) || 0
  );
}

/** @param {number} count */
export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB"];
  let place = 0;
  while (count >= 1000 && place < 3) ((count /= 1000), (place += 1));
  return `${place ? count.toFixed(count < 10 ? 1 : 0) : count} ${units[place]}`;
}
