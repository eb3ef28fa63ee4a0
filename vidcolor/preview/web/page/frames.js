// @ts-check
/**
 * Pictures of the shot: fetched once, kept while there is room, given up when nobody waits.
 *
 * Pictures are fetched and not put into <img>, so that one that is no longer wanted stops
 * coming. One that is not there (yet, or any more) is answered with nothing.
 */

import { addresses } from "./api.js";
import { formerKey } from "./session.js";
import { state } from "./state.js";

const MOST = 72; // decoded pictures; at preview size about 2 MB each
const MOST_FULL = 4; // at full size

/** @type {Map<string, ImageBitmap>} */
const have = new Map();
/** @type {Map<string, {promise: Promise<ImageBitmap|null>, stop: AbortController}>} */
const coming = new Map();

/** @param {string} address @returns {ImageBitmap|null} */
export function ready(address) {
  const picture = have.get(address);
  if (!picture) return null;
  have.delete(address); // moves to the end: used last
  have.set(address, picture);
  return picture;
}

/**
 * @param {string} address
 * @returns {Promise<ImageBitmap|null>} null: it is not there (yet), or no longer wanted
 */
export function load(address) {
  const there = ready(address);
  if (there) return Promise.resolve(there);
  const before = coming.get(address);
  if (before) return before.promise;
  const stop = new AbortController();
  const promise = take(address, stop.signal).finally(() => coming.delete(address));
  coming.set(address, { promise, stop });
  return promise;
}

/** @param {string} address @param {AbortSignal} signal */
async function take(address, signal) {
  try {
    const answer = await fetch(address, { signal });
    if (answer.status !== 200) return null;
    const picture = await createImageBitmap(await answer.blob());
    have.set(address, picture);
    forget();
    return picture;
  } catch {
    return null; // given up, or the server is away: the banner says that
  }
}

/** @param {(address: string) => boolean} wanted Whatever else is on its way is stopped. */
export function stopOthers(wanted) {
  for (const [address, { stop }] of coming) if (!wanted(address)) stop.abort();
}

function forget() {
  const full = [...have.keys()].filter((address) => address.includes(".png"));
  for (const address of full.slice(0, -MOST_FULL)) drop(address);
  for (const address of have.keys()) {
    if (have.size <= MOST) break;
    drop(address);
  }
}

/** @param {string} address */
function drop(address) {
  // Not closed by hand: the canvas may be about to draw it.
  have.delete(address);
}

/**
 * Whether frame `frame` of the shot has its final color.
 * @param {import("./types.js").Shot} shot @param {number} frame
 */
export function isMade(shot, frame) {
  return shot.state === "ready" || (shot.state === "making" && frame < (shot.made ?? 0));
}

/** @param {import("./types.js").Shot} shot @param {number} frame @param {string} side */
export function address(shot, frame, side) {
  if (!state.film?.ready)
    return addresses.thumb(state.filmId, shot.number, side, `${shot.start}-0`);
  return addresses.frame(state.filmId, shot.number, frame, side, shot.key ?? "", "jpg");
}

/**
 * The frame as it was colored before the last change, while the new color is on its way.
 * @param {import("./types.js").Shot} shot @param {number} frame
 */
export function formerAddress(shot, frame) {
  const key = formerKey(shot);
  return key && addresses.frame(state.filmId, shot.number, frame, "after", key, "jpg");
}

/** @param {import("./types.js").Shot} shot @param {number} frame @param {string} side */
export function fullAddress(shot, frame, side) {
  return addresses.frame(state.filmId, shot.number, frame, side, shot.key ?? "", "png");
}

/** @param {import("./types.js").Shot} shot @param {number} frame */
export function lookAddress(shot, frame) {
  return addresses.look(state.filmId, shot.number, frame, shot.key ?? "");
}
