// @ts-check
/** Where the picture lies on the stage: fitted, or zoomed and moved. In CSS pixels. */

import { state, update } from "./state.js";

const LEAST = 0.05;
const MOST = 16;

/** @typedef {{x: number, y: number, w: number, h: number}} Rect */

export const stage = { w: 1, h: 1 };
const middle = { x: 0.5, y: 0.5 }; // of the picture, in the middle of the stage

function size() {
  const film = state.film;
  return { w: film?.width || 16, h: film?.height || 9 };
}

/** CSS pixels for each pixel of the film, when all of it is to be seen. */
export function fitScale() {
  const film = size();
  return Math.min(stage.w / film.w, stage.h / film.h);
}

export function scale() {
  // "100 %" means pixels of the screen, whatever the page's own zoom.
  return state.zoom === null ? fitScale() : state.zoom / devicePixelRatio;
}

/** The whole picture. @returns {Rect} */
export function picture() {
  const [film, by] = [size(), scale()];
  const [w, h] = [film.w * by, film.h * by];
  if (state.zoom === null) return { x: (stage.w - w) / 2, y: (stage.h - h) / 2, w, h };
  const place = (
    /** @type {number} */ room,
    /** @type {number} */ length,
    /** @type {number} */ at,
  ) =>
    length <= room
      ? (room - length) / 2
      : Math.min(0, Math.max(room - length, room / 2 - at * length));
  return { x: place(stage.w, w, middle.x), y: place(stage.h, h, middle.y), w, h };
}

/** The part of the picture that is to be seen. @returns {Rect} */
export function visible() {
  const all = picture();
  const [x, y] = [Math.max(0, all.x), Math.max(0, all.y)];
  return { x, y, w: Math.min(stage.w, all.x + all.w) - x, h: Math.min(stage.h, all.y + all.h) - y };
}

/** Fractions of the picture at a place of the stage. @param {number} x @param {number} y */
export function toFractions(x, y) {
  const all = picture();
  return { x: (x - all.x) / all.w, y: (y - all.y) / all.h };
}

/** @param {number} factor @param {number} x @param {number} y the place that stays */
export function zoomBy(factor, x = stage.w / 2, y = stage.h / 2) {
  const before = toFractions(x, y);
  const wanted = Math.min(MOST, Math.max(LEAST, scale() * devicePixelRatio * factor));
  if (wanted <= fitScale() * devicePixelRatio * 1.001) return fit();
  update({ zoom: wanted });
  const film = size();
  const by = scale();
  middle.x = before.x + (stage.w / 2 - x) / (film.w * by);
  middle.y = before.y + (stage.h / 2 - y) / (film.h * by);
  hold();
}

/** @param {number} dx @param {number} dy in CSS pixels */
export function moveBy(dx, dy) {
  const all = picture();
  middle.x -= dx / all.w;
  middle.y -= dy / all.h;
  hold();
}

/** The middle stays where the picture still covers the stage, so moving back works at once. */
function hold() {
  const all = picture();
  const keep = (
    /** @type {number} */ at,
    /** @type {number} */ room,
    /** @type {number} */ length,
  ) => {
    const half = Math.min(0.5, room / 2 / length);
    return Math.min(1 - half, Math.max(half, at));
  };
  middle.x = keep(middle.x, stage.w, all.w);
  middle.y = keep(middle.y, stage.h, all.h);
}

export function fit() {
  Object.assign(middle, { x: 0.5, y: 0.5 });
  update({ zoom: null });
}

export function trueSize() {
  zoomBy(1 / (scale() * devicePixelRatio));
  update({ zoom: 1 });
}
