// @ts-check
/** What lies over the picture: boxes, a person's hints, damage, how far their word reaches. */

import { addresses } from "./api.js";
import { byId } from "./dom.js";
import { load, ready } from "./frames.js";
import { boxesAt, calledTrack } from "./objects.js";
import { redraw } from "./player.js";
import { formerKey } from "./session.js";
import { shotNow, state } from "./state.js";
import { picture, stage } from "./view.js";

/** @typedef {import("./types.js").Hint} Hint */
/** @typedef {import("./view.js").Rect} Rect */

const INKS = [
  "#ffb454",
  "#6ec6ff",
  "#b8e986",
  "#ff8fa3",
  "#c9a7ff",
  "#5ee0c0",
  "#f6e05e",
  "#ff9f6b",
];
const DARK = "rgba(10, 10, 12, 0.82)";

const canvas = /** @type {HTMLCanvasElement} */ (byId("overlay"));
const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));

/** What a hand is drawing just now.
 * @type {{draw: ((pen: CanvasRenderingContext2D, all: Rect) => void)|null}} */
export const sketching = { draw: null };

/** One ink for one object, wherever it comes up. @param {string|number} identity */
export function inkOf(identity) {
  let sum = 0;
  for (const letter of String(identity)) sum = (sum * 31 + letter.charCodeAt(0)) % 9973;
  return INKS[sum % INKS.length];
}

export function drawOverlay() {
  pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  pen.clearRect(0, 0, stage.w, stage.h);
  const shot = shotNow();
  if (!shot) return;
  const all = picture();
  const { hints, boxes, sure, damage } = state.overlays;
  if (!state.playing) {
    // Of the color that is seen, so that it tells no lies while the next one is made.
    const key = state.shown === "exact" ? shot.key : state.shown === "former" && formerKey(shot);
    if (sure && key) drawMask(addresses.sure(state.filmId, shot.number, state.frame, key), all);
    if (damage && damageFound())
      drawMask(addresses.damage(state.filmId, shot.number, state.frame), all);
  }
  if (boxes || state.tool === "object" || state.panel === "objects") drawBoxes(all);
  if (hints && !state.playing) drawHints(all);
  sketching.draw?.(pen, all);
}

/** Whether the job that finds damage has run for this shot, as far as the page has seen. */
function damageFound() {
  return state.jobs.some(
    (job) =>
      job.kind === "damage" &&
      job.shot === state.shot &&
      job.film === state.filmId &&
      job.state === "done",
  );
}

/** @param {string} address @param {Rect} all */
function drawMask(address, all) {
  const mask = ready(address);
  if (mask) pen.drawImage(mask, all.x, all.y, all.w, all.h);
  else void load(address).then((picture) => picture && redraw());
}

/** @param {Rect} all */
function drawBoxes(all) {
  pen.font = "600 12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  for (const one of boxesAt(state.frame)) {
    const [x0, y0, x1, y1] = one.box;
    const [x, y] = [all.x + x0 * all.w, all.y + y0 * all.h];
    const [w, height] = [(x1 - x0) * all.w, (y1 - y0) * all.h];
    const chosen = one.id === state.track;
    pen.lineWidth = chosen ? 5 : 3.5;
    pen.strokeStyle = DARK;
    pen.strokeRect(x, y, w, height);
    pen.lineWidth = chosen ? 3 : 1.5;
    pen.strokeStyle = inkOf(one.identity || one.id);
    pen.strokeRect(x, y, w, height);
    const text = `${calledTrack(one)} · ${Math.round(one.score * 100)} %`;
    const room = pen.measureText(text).width + 12;
    const top = Math.max(0, y - 20);
    pen.fillStyle = DARK;
    pen.fillRect(x - 1, top, room, 20);
    pen.fillStyle = inkOf(one.identity || one.id);
    pen.fillText(text, x + 5, top + 10);
  }
}

/** Hints of a shot's frame, and those that are for the whole shot. */
export function hintsHere() {
  return (state.film?.hints ?? []).filter((hint) => hint.shot === state.shot);
}

/** @param {Rect} all */
function drawHints(all) {
  for (const hint of hintsHere()) {
    if (hint.frame !== state.frame || hint.kind === "whole" || !hint.points.length) continue;
    const places = pairs(hint.points).map(([x, y]) => [all.x + x * all.w, all.y + y * all.h]);
    const fill = hint.hex ?? "#808080";
    const chosen = hint.id === state.hint;
    if (hint.kind === "region") drawArea(places, fill, chosen);
    else if (places.length > 1)
      drawStroke(places, fill, Math.max(4, 2 * hint.radius * all.h), chosen);
    drawDot(places[0], fill, chosen, hint.color);
  }
}

/** @param {number[]} points @returns {number[][]} */
export function pairs(points) {
  const flat = points.flat();
  return Array.from({ length: flat.length >> 1 }, (_, n) => [flat[2 * n], flat[2 * n + 1]]);
}

/** @param {number[]} at @param {string} fill @param {boolean} chosen @param {string} word */
function drawDot([x, y], fill, chosen, word) {
  const rings = /** @type {[number, string][]} */ ([
    [chosen ? 12 : 9.5, DARK],
    [chosen ? 10.5 : 8, "#fff"],
    [chosen ? 8 : 6, fill],
  ]);
  for (const [radius, ink] of rings) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fillStyle = ink;
    pen.fill();
  }
  if (word !== "auto") return;
  // "Keep automatic" has no color of its own: a bar through the dot.
  pen.strokeStyle = "#fff";
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(x - 4, y + 4);
  pen.lineTo(x + 4, y - 4);
  pen.stroke();
}

/** @param {number[][]} places @param {string} fill @param {number} width @param {boolean} chosen */
export function drawStroke(places, fill, width, chosen) {
  pen.lineCap = pen.lineJoin = "round";
  for (const [more, ink] of /** @type {[number, string][]} */ ([
    [chosen ? 5 : 3, DARK],
    [1.5, "#fff"],
    [0, fill],
  ])) {
    pen.lineWidth = width + more;
    pen.strokeStyle = ink;
    trace(places);
    pen.stroke();
  }
}

/** @param {number[][]} places @param {string} fill @param {boolean} chosen */
export function drawArea(places, fill, chosen) {
  const corners =
    places.length === 2
      ? [places[0], [places[1][0], places[0][1]], places[1], [places[0][0], places[1][1]]]
      : places;
  trace(corners);
  pen.closePath();
  pen.globalAlpha = 0.35;
  pen.fillStyle = fill;
  pen.fill();
  pen.globalAlpha = 1;
  pen.lineJoin = "round";
  pen.lineWidth = chosen ? 5 : 3.5;
  pen.strokeStyle = DARK;
  pen.stroke();
  pen.lineWidth = chosen ? 2.5 : 1.5;
  pen.strokeStyle = "#fff";
  pen.stroke();
}

/** @param {number[][]} places */
function trace(places) {
  pen.beginPath();
  places.forEach(([x, y], n) => (n ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  if (places.length === 1) pen.lineTo(places[0][0] + 0.01, places[0][1]);
}
