// @ts-check
/** What is known of the objects of the shot shown: their boxes, frame by frame. */

import { api } from "./api.js";
import { formerKey } from "./session.js";
import { on, shotNow, state, update } from "./state.js";

/** @typedef {import("./types.js").Box} Box */
/** @typedef {import("./types.js").Track} Track */
/** @typedef {import("./types.js").Shot} Shot */

/** @type {{of: string, shot: string, known: boolean, frames: {t: number, boxes: Box[]}[]}} */
let seen = { of: "", shot: "", known: false, frames: [] };
let asked = "";

export function startObjects() {
  on(["film", "shot"], () => void look());
}

async function look() {
  const shot = shotNow();
  const place = `${state.filmId}/${shot?.number}`;
  // Boxes stay while the shot is colored anew: objects seldom move because of a color.
  if (seen.shot !== place) {
    seen = { of: "", shot: place, known: false, frames: [] };
    asked = "";
  }
  const key = shot?.state === "ready" ? shot.key : shot && seen.of === "" ? formerKey(shot) : null;
  if (!shot || !key) return;
  const of = `${place}/${key}`;
  if (asked === of) return;
  asked = of;
  try {
    const { known, frames } = await api.overlay(state.filmId, shot.number, key);
    if (asked !== of) return;
    if (!frames) throw new Error("not there any more");
    seen = { of, shot: place, frames, known: known !== false };
    if (state.film) update({ film: { ...state.film } });
  } catch {
    asked = ""; // replaced while we asked; the next state of the film asks again
  }
}

/** @param {number} frame @returns {Box[]} */
export function boxesAt(frame) {
  if (seen.shot !== `${state.filmId}/${state.shot}`) return [];
  // Names change without the shot being colored anew: the script's word counts, not the overlay's.
  return (seen.frames[frame]?.boxes ?? []).map((box) => {
    const said = state.film?.tracks.find((track) => track.id === box.id && track.known);
    const { name, identity } = said ?? { name: "", identity: "" };
    return { ...box, name, identity };
  });
}

export function knowsBoxes() {
  return looked() && seen.known;
}

/** Whether the shot was colored by a run that did not write down what it found. */
export function neverLooked() {
  return looked() && !seen.known;
}

function looked() {
  return seen.shot === `${state.filmId}/${state.shot}` && seen.frames.length > 0;
}

/** Seconds at which frames begin, from the shot's first. @param {Shot} shot @returns {number[]} */
export function frameTimes(shot) {
  // Whatever its color: the frames of a shot stay where they are.
  if (seen.shot === `${state.filmId}/${shot.number}` && seen.frames.length === shot.frames)
    return seen.frames.map((frame) => frame.t - seen.frames[0].t);
  const each = shot.frames ? shot.seconds / shot.frames : 0.04;
  return Array.from({ length: shot.frames }, (_, n) => n * each);
}

/** The smallest box around a place. @param {number} x @param {number} y @returns {Box|null} */
export function boxUnder(x, y) {
  const around = boxesAt(state.frame).filter(
    ({ box }) => box[0] <= x && x <= box[2] && box[1] <= y && y <= box[3],
  );
  const area = (/** @type {Box} */ { box }) => (box[2] - box[0]) * (box[3] - box[1]);
  return around.sort((one, other) => area(one) - area(other))[0] ?? null;
}

/**
 * Objects of the shot: what the script says of them, and what was found but never spoken of.
 * @returns {Track[]}
 */
export function tracksHere() {
  const known = (state.film?.tracks ?? []).filter((track) => track.shot === state.shot);
  const ids = new Set(known.map((track) => track.id));
  /** @type {Map<number, Track>} */
  const found = new Map();
  if (knowsBoxes())
    seen.frames.forEach(({ boxes }, frame) => {
      for (const { id, label, identity, name } of boxes) {
        const track = found.get(id);
        if (track) track.last_frame = frame;
        else if (!ids.has(id))
          found.set(id, {
            id,
            shot: state.shot,
            identity,
            label,
            name: name ?? "",
            color: null,
            mean: null,
            known: false,
            first_frame: frame,
            last_frame: frame,
          });
      }
    });
  return [...known, ...found.values()];
}

/** What people read. @param {{name: string, label: string, id: number}} track */
export function calledTrack(track) {
  return track.name || `${track.label || "object"} ${track.id % 100000}`;
}
