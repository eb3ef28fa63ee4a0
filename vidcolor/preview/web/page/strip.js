// @ts-check
/**
 * The shots as a strip of film. A long film has thousands: only those in sight exist in the
 * document, their pictures are asked for when the strip has come to rest, and one row of
 * nodes is used again and again.
 */

import { addresses } from "./api.js";
import { byId, h, quiet, row, seconds, clock, write, icon } from "./dom.js";
import { goTo, previewSoon, thumbs } from "./session.js";
import { on, state } from "./state.js";

/** @typedef {import("./types.js").Shot} Shot */

const BESIDE = 3; // shots kept ready on either side of what is in sight
const REST_MS = 70;
const WORDS = {
  none: "not colored yet",
  making: "being colored",
  ready: "colored",
  stale: "to be colored again",
};

const strip = byId("strip");
const track = h("div", { class: "strip-track", role: "presentation" });
/** @type {Map<number, any>} */
const cells = new Map();
/** @type {any[]} */
const spare = [];
let resting = true;
let centered = "";

export function startStrip() {
  strip.append(track);
  strip.addEventListener(
    "scroll",
    () => {
      resting = false;
      paintSoon();
      restSoon();
    },
    { passive: true },
  );
  strip.addEventListener("keydown", keys);
  strip.addEventListener(
    "wheel",
    (event) => {
      // A wheel that only turns one way still moves a strip that lies on its side.
      if (Math.abs(event.deltaY) <= Math.abs(event.deltaX)) return;
      event.preventDefault();
      strip.scrollLeft += event.deltaMode ? event.deltaY * 40 : event.deltaY;
    },
    { passive: false },
  );
  new ResizeObserver(paintSoon).observe(strip);
  on(["film", "filmId", "shot"], () => {
    paintSoon();
    center();
    count();
  });
  on(["filmId", "shot"], previewSoon);
  const wasReady = { film: "" };
  on(["film"], () => {
    // Exact shots have just replaced the sketch: now the shown one can be made.
    const film = state.film;
    if (film?.ready && wasReady.film !== film.id) previewSoon();
    wasReady.film = film?.ready ? film.id : "";
  });
}

const restSoon = quiet(REST_MS, () => {
  resting = true;
  paint();
});

let due = 0;
function paintSoon() {
  due ||= requestAnimationFrame(() => {
    due = 0;
    paint();
  });
}

function width() {
  return Number.parseFloat(getComputedStyle(strip).getPropertyValue("--cell")) || 148;
}

function paint() {
  const shots = state.film?.shots ?? [];
  const cell = width();
  track.style.width = `${shots.length * cell}px`;
  const first = Math.max(0, Math.floor(strip.scrollLeft / cell) - BESIDE);
  const last = Math.min(
    shots.length,
    Math.ceil((strip.scrollLeft + strip.clientWidth) / cell) + BESIDE,
  );
  for (const [number, node] of cells)
    if (number < first || number >= last) {
      cells.delete(number);
      node.remove();
      spare.push(node);
    }
  for (let number = first; number < last; number += 1) {
    let node = cells.get(number);
    if (!node) {
      node = spare.pop() ?? makeCell();
      cells.set(number, node);
      track.append(node);
    }
    node.style.transform = `translateX(${number * cell}px)`;
    node.fill(shots[number]);
  }
  if (cells.has(state.shot)) strip.setAttribute("aria-activedescendant", `shot-${state.shot}`);
  else strip.removeAttribute("aria-activedescendant");
}

function makeCell() {
  const before = h("img", { alt: "", decoding: "async", draggable: "false" });
  const after = h("img", { alt: "", decoding: "async", draggable: "false", class: "after" });
  const mark = h("span", { class: "mark" });
  const time = h("span", { class: "time" });
  const number = h("span", { class: "number" });
  const bar = h("span", { class: "made" });
  const note = h("span", { class: "has-note", title: "Has a note" }, icon("notes"));
  const picture = h("span", { class: "thumb" }, before, after, bar, note);
  const node = h(
    "div",
    { class: "cell", role: "option", "data-testid": "shot" },
    picture,
    h("span", { class: "legend" }, mark, number, time),
  );
  let shown = 0;
  let filled = ""; // with the pictures of which shot
  node.addEventListener("click", () => goTo(shown));
  return row(node, (/** @type {Shot} */ shot) => {
    shown = shot.number;
    node.id = `shot-${shot.number}`;
    const chosen = shot.number === state.shot;
    node.setAttribute("aria-selected", String(chosen));
    node.setAttribute("aria-setsize", String(state.film?.shots.length ?? 0));
    node.setAttribute("aria-posinset", String(shot.number + 1));
    node.setAttribute("data-state", shot.state);
    node.setAttribute(
      "aria-label",
      `Shot ${shot.number + 1}, ${clock(seconds(shot.time))}, ${WORDS[shot.state]}` +
        `${shot.note ? ", has a note" : ""}`,
    );
    node.title = `Shot ${shot.number + 1} · ${shot.frames} frames · ${WORDS[shot.state]}`;
    note.hidden = !shot.note;
    write(number, String(shot.number + 1));
    write(time, clock(seconds(shot.time)));
    const making = shot.state === "making" && shot.frames > 0;
    bar.style.transform = `scaleX(${making ? Math.min(1, (shot.made ?? 0) / shot.frames) : 0})`;
    const colored = shot.thumb ?? (shot.state === "ready" || shot.state === "stale");
    const same = filled === `${state.filmId}/${shot.start}`;
    filled = `${state.filmId}/${shot.start}`;
    point(before, picturesOf(shot, "before"), same);
    point(after, colored ? picturesOf(shot, "after") : "", same);
  });
}

/** @param {Shot} shot @param {string} side */
function picturesOf(shot, side) {
  // The picture before does not change with the script, but exact shots differ from the sketch.
  const version =
    side === "after" ? (shot.key ?? "") : `${shot.start}-${state.film?.ready ? 1 : 0}`;
  const news = thumbs.get(`${shot.number}/${side}`) ?? 0;
  return addresses.thumb(state.filmId, shot.number, side, `${version}-${news}`);
}

/**
 * A newer picture of the same shot takes the place of the old one when it is there.
 * @param {HTMLImageElement} image @param {string} address @param {boolean} same
 */
function point(image, address, same) {
  if (image.getAttribute("src") === address) return;
  if (same && !address) return;
  image.hidden = image.hidden || !same;
  image.onload = () => (image.hidden = false);
  if (address && resting) image.src = address;
  else if (!same) image.removeAttribute("src");
}

/** Brings the chosen shot into sight. */
function center() {
  const of = `${state.filmId}/${state.shot}`;
  if (!state.film?.shots.length || centered === of) return;
  centered = of;
  requestAnimationFrame(() => {
    const cell = width();
    const left = state.shot * cell;
    if (left < strip.scrollLeft + cell || left + 2 * cell > strip.scrollLeft + strip.clientWidth)
      strip.scrollTo({ left: left - (strip.clientWidth - cell) / 2, behavior: "auto" });
  });
}

function count() {
  const shots = state.film?.shots ?? [];
  const ready = shots.filter((shot) => shot.state === "ready").length;
  write(
    byId("shot-count"),
    !state.film
      ? ""
      : state.film.ready
        ? `${shots.length} ${shots.length === 1 ? "shot" : "shots"} · ${ready} colored`
        : `Looking for cuts … ${shots.length} so far`,
  );
}

/** @param {KeyboardEvent} event */
function keys(event) {
  const page = Math.max(1, Math.floor(strip.clientWidth / width()) - 1);
  const to = {
    ArrowRight: state.shot + 1,
    ArrowLeft: state.shot - 1,
    PageDown: state.shot + page,
    PageUp: state.shot - page,
    Home: 0,
    End: (state.film?.shots.length ?? 1) - 1,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  goTo(to);
}
