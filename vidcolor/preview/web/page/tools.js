// @ts-check
/**
 * Hands on the picture. Without a tool a hand moves the line, or the picture when it is zoomed;
 * two fingers zoom. With a tool it says colors. All of it works with keys too: arrows move a
 * cross, Enter sets a point, Enter twice at one place ends a stroke or an area.
 */

import { byId, say } from "./dom.js";
import { edit } from "./edits.js";
import { boxUnder, calledTrack, knowsBoxes, neverLooked } from "./objects.js";
import { drawArea, drawStroke, sketching } from "./overlay.js";
import { remember } from "./picker.js";
import { moveDivider, redraw } from "./player.js";
import { goToFrame } from "./session.js";
import { on, shotNow, state, update } from "./state.js";
import { complain } from "./toast.js";
import { moveBy, toFractions, zoomBy } from "./view.js";

const NEAR_PX = 5; // a hand that moved less has clicked
const STEP = 0.004; // between two points of a stroke, in parts of the picture
const MOST_POINTS = 200;

const canvas = byId("overlay");
/** @type {{x: number, y: number}[]} */
let path = [];
/** @type {{x: number, y: number}|null} The cross that keys move. */
let cross = null;
/** @type {Map<number, {x: number, y: number}>} */
const fingers = new Map();
let start = { x: 0, y: 0 };

export function startTools() {
  canvas.addEventListener("pointerdown", down);
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", forget);
  canvas.addEventListener("keydown", key);
  canvas.addEventListener("blur", () => setCross(null));
  canvas.addEventListener("wheel", wheel, { passive: false });
  on(["tool", "shot", "film"], () => {
    canvas.setAttribute("data-tool", state.tool);
    if (state.tool === "look") setCross(null);
  });
  on(["shot", "tool"], forget);
}

/** @param {MouseEvent} event */
function at(event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

const clamp = (/** @type {{x: number, y: number}} */ { x, y }) => ({
  x: Math.min(1, Math.max(0, x)),
  y: Math.min(1, Math.max(0, y)),
});

/** @param {PointerEvent} event */
function down(event) {
  if (!shotNow() || event.button > 0) return;
  canvas.setPointerCapture(event.pointerId);
  const place = at(event);
  fingers.set(event.pointerId, place);
  start = place;
  path = [];
  if (fingers.size > 1) return;
  const here = toFractions(place.x, place.y);
  const inside = here.x >= 0 && here.x <= 1 && here.y >= 0 && here.y <= 1;
  if (state.tool === "look") {
    if (state.compare === "split" && state.zoom === null && state.panel !== "objects")
      moveDivider(place.x);
  } else if (inside) path = [here];
  sketch();
}

/** @param {PointerEvent} event */
function move(event) {
  const before = fingers.get(event.pointerId);
  const place = at(event);
  if (!before) return hover(place);
  if (fingers.size === 2) pinch(event.pointerId, place);
  else if (state.tool === "look") {
    if (state.zoom !== null) {
      moveBy(place.x - before.x, place.y - before.y);
      redraw();
    } else if (state.compare === "split" && (state.panel !== "objects" || far(place)))
      moveDivider(place.x);
  } else if (path.length && fingers.size === 1) draw(place);
  fingers.set(event.pointerId, place);
}

const far = (/** @type {{x: number, y: number}} */ place) =>
  Math.hypot(place.x - start.x, place.y - start.y) > NEAR_PX;

/** @param {{x: number, y: number}} place */
function draw(place) {
  if (state.tool !== "stroke" && state.tool !== "area") return;
  const here = clamp(toFractions(place.x, place.y));
  const last = path[path.length - 1];
  if (Math.hypot(here.x - last.x, here.y - last.y) >= STEP) path.push(here);
  sketch();
}

/** @param {number} id @param {{x: number, y: number}} place */
function pinch(id, place) {
  path = [];
  const [other] = [...fingers].filter(([finger]) => finger !== id).map(([, there]) => there);
  const before = /** @type {{x: number, y: number}} */ (fingers.get(id));
  const gap = Math.hypot(before.x - other.x, before.y - other.y);
  const now = Math.hypot(place.x - other.x, place.y - other.y);
  if (gap > 10 && now > 10) zoomBy(now / gap, (place.x + other.x) / 2, (place.y + other.y) / 2);
  moveBy((place.x - before.x) / 2, (place.y - before.y) / 2);
  redraw();
}

/** @param {PointerEvent} event */
function up(event) {
  const alone = fingers.size === 1 && fingers.has(event.pointerId);
  fingers.delete(event.pointerId);
  if (!alone) return forget();
  const here = toFractions(start.x, start.y);
  if (state.tool === "look" && state.panel === "objects" && !far(at(event))) choose(here.x, here.y);
  else if (path.length) finish();
  path = [];
  sketch();
}

function forget() {
  fingers.clear();
  path = [];
  sketch();
}

/** @param {WheelEvent} event */
function wheel(event) {
  if (!shotNow()) return;
  event.preventDefault();
  const place = at(event);
  const amount = event.deltaMode ? event.deltaY * 16 : event.deltaY;
  zoomBy(Math.exp(-amount * (event.ctrlKey ? 0.01 : 0.002)), place.x, place.y);
}

/** @param {{x: number, y: number}} place */
function hover(place) {
  const here = toFractions(place.x, place.y);
  const boxes = state.tool === "object" || (state.tool === "look" && state.panel === "objects");
  const box = boxes ? boxUnder(here.x, here.y) : null;
  canvas.classList.toggle("can-click", Boolean(box));
}

/** @param {number} x @param {number} y */
function choose(x, y) {
  const box = boxUnder(x, y);
  update({ track: box?.id ?? null });
  if (box) say(`${calledTrack(box)} chosen.`);
}

// Saying a color ------------------------------------------------------------------------------

function finish() {
  if (state.tool === "object") return void pin(path[0].x, path[0].y);
  const points = thin(path).flatMap(({ x, y }) => [round(x), round(y)]);
  if (state.tool === "area" && path.length < 3)
    return complain("Draw around the area with the button held down, or choose the dot.");
  const place = state.tool === "area" ? { region: points } : { points };
  const [shot, frame] = [state.shot, state.frame];
  const size = state.tool === "stroke" ? { radius: state.radius } : {};
  const { color, reach, bind } = state;
  remember(color);
  void edit(() => ({ do: "add_hint", shot, frame, ...place, ...size, color, reach, track: bind }));
  say(`${state.tool} of ${color} set.`);
}

/** @param {number} x @param {number} y */
async function pin(x, y) {
  const box = boxUnder(x, y);
  if (neverLooked())
    return complain(
      "The objects of this shot were not written down when it was colored: " +
        "find objects of the whole film (under Objects), or use a dot.",
    );
  if (!knowsBoxes())
    return complain("Objects are not known yet: make this shot first, then click on one of them.");
  if (!box)
    return complain("There is no object here. Click inside one of the boxes, or use a dot.");
  const { color } = state;
  if (color === "auto")
    return complain(
      "An object that keeps its automatic color needs no pin; remove its color under Objects.",
    );
  remember(color);
  update({ track: box.id });
  if (await edit(() => ({ do: "pin_track", track: box.id, color })))
    say(`${calledTrack(box)} is ${color} now.`);
}

/** @param {{x: number, y: number}[]} places */
function thin(places) {
  const each = Math.ceil(places.length / MOST_POINTS);
  return places.filter((_, n) => n % each === 0 || n === places.length - 1);
}

const round = (/** @type {number} */ value) => Math.round(value * 1e5) / 1e5;

// Keys ----------------------------------------------------------------------------------------

/** @param {KeyboardEvent} event */
function key(event) {
  const by = event.shiftKey ? 0.05 : 0.01;
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[
    event.key
  ];
  if (state.tool === "look") {
    if (!step || !step[0]) return;
    goToFrame(state.frame + step[0] * (event.shiftKey ? 10 : 1));
  } else if (step) {
    const from = cross ?? { x: 0.5, y: 0.5 };
    setCross(clamp({ x: from.x + step[0] * by, y: from.y + step[1] * by }));
    say(
      `${Math.round((cross?.x ?? 0) * 100)} % across, ${Math.round((cross?.y ?? 0) * 100)} % down`,
    );
  } else if (event.key === "Enter") enter();
  else if (event.key === "Escape" && path.length) {
    path = [];
    sketch();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

function enter() {
  if (!cross) return setCross({ x: 0.5, y: 0.5 });
  const last = path[path.length - 1];
  const again = last && last.x === cross.x && last.y === cross.y;
  if (!again) path.push({ ...cross });
  if (again || state.tool === "dot" || state.tool === "object") {
    finish();
    path = [];
  }
  sketch();
}

/** @param {{x: number, y: number}|null} place */
function setCross(place) {
  cross = place;
  if (!place) path = [];
  sketch();
}

// What it looks like meanwhile ----------------------------------------------------------------

function sketch() {
  sketching.draw = path.length || cross ? paint : null;
  redraw();
}

/** @param {CanvasRenderingContext2D} pen @param {import("./view.js").Rect} all */
function paint(pen, all) {
  const places = path.map(({ x, y }) => [all.x + x * all.w, all.y + y * all.h]);
  const fill = state.color.startsWith("#") ? state.color : "#808080";
  if (state.tool === "area" && places.length > 1) drawArea(places, fill, true);
  else if (state.tool === "stroke" && places.length)
    drawStroke(places, fill, Math.max(4, 2 * state.radius * all.h), true);
  if (!cross) return;
  const [x, y] = [all.x + cross.x * all.w, all.y + cross.y * all.h];
  for (const [width, ink] of /** @type {[number, string][]} */ ([
    [4, "#000"],
    [2, "#fff"],
  ])) {
    pen.lineWidth = width;
    pen.strokeStyle = ink;
    pen.beginPath();
    pen.moveTo(x - 14, y);
    pen.lineTo(x + 14, y);
    pen.moveTo(x, y - 14);
    pen.lineTo(x, y + 14);
    pen.stroke();
  }
}
