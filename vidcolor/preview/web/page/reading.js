// @ts-check
/**
 * Which frames of the source can be had. A shot that nobody has looked at is read first, in the
 * background; asking for its frames before would only be answered with "not yet".
 */

import { address, isMade, load } from "./frames.js";
import { LIVE, refresh } from "./session.js";
import { state, update } from "./state.js";

/** @typedef {import("./types.js").Shot} Shot */

/** Shots that were read before this page came. @type {Set<string>} */
const known = new Set();
/** @type {Set<string>} */
const asked = new Set();

/** @param {Shot} shot */
const nameOf = (shot) => `${state.filmId}/${shot.start}-${shot.end}`;

/** @param {Shot} shot */
const readings = (shot) =>
  state.jobs.filter(
    (job) => job.kind === "watch" && job.film === state.filmId && job.shot === shot.number,
  );

/**
 * Whether frame `frame` of the shot can be had as it was before.
 * @param {Shot} shot @param {number} frame
 */
export function isRead(shot, frame) {
  if (!state.film?.ready || frame === 0 || isMade(shot, frame)) return true;
  if (shot.state === "stale" || known.has(nameOf(shot))) return true;
  return readings(shot).some(
    (job) => job.state === "done" || (job.state === "running" && frame < job.done),
  );
}

/** Lets the shot be read, if it is not. @param {Shot} shot */
export async function readShot(shot) {
  const name = nameOf(shot);
  if (asked.has(name)) return;
  asked.add(name);
  // Asking for its first frame, which is always there, makes the server read the rest.
  const first = await load(address(shot, 0, "before"));
  if (!first) return void asked.delete(name);
  await refresh();
  if (readings(shot).some((job) => LIVE.includes(job.state))) return;
  known.add(name);
  if (state.film) update({ film: { ...state.film } });
}
