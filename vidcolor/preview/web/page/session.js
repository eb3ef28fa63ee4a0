// @ts-check
/** The film that is open: what the server says of it, what it tells, and whether it is there. */

import { ServerError, api, listen } from "./api.js";
import { quiet, say, seconds } from "./dom.js";
import { asRead, readAddress, shotNow, state, update } from "./state.js";
import { complain } from "./toast.js";

/** @typedef {import("./types.js").FilmState} FilmState */
/** @typedef {import("./types.js").Job} Job */
/** @typedef {import("./types.js").Shot} Shot */

const REST_MS = 350; // a hand that still moves is not finished
export const LIVE = ["queued", "running"];
export const QUIET = ["watch", "thumbs"]; // small work that nobody asked for by name
const SURE_MS = 5000; // after a change, until pictures that come are of the new color
const PROBLEM_MS = 4000; // between two looks whether what was wrong has been mended
const PANELS = ["color", "objects", "pictures", "settings", "notes"];

/** What events said after the film's state was read: frames made, by shot. */
/** @type {Map<number, {key: string, made: number}>} */
const made = new Map();
/** Counts new thumbnails, so that addresses change. @type {Map<string, number>} */
export const thumbs = new Map();

/** @param {unknown} error */
export function fail(error) {
  if (!(error instanceof ServerError)) throw error;
  if (error.status === 0) lose();
  else if (error.status > 0) complain(error.message);
}

// Films ---------------------------------------------------------------------------------------

export async function begin() {
  heard = document.hidden; // a tab that begins unseen has missed something once it is shown
  listen(hear, connected);
  await readServer();
  const only = onlyFilm();
  if (readAddress().film) await follow();
  else if (only) await openFilm(only);
  addEventListener("popstate", () => void follow());
  // The script may be mended in an editor beside the page, which tells nobody.
  addEventListener("focus", () => refreshSoon());
}

/** The film that nobody has to choose: the only one that the command named. */
function onlyFilm() {
  const films = state.server?.films ?? [];
  const named = films.filter((film) => !film.uploaded);
  const [only, more] = named.length ? named : films;
  const another = films.some((film) => film.open && film !== only);
  return only && !more && !another ? only.id : "";
}

async function readServer() {
  try {
    update({ server: await api.state(), connection: "ok" });
  } catch (error) {
    fail(error);
  }
}

/** Goes where the address says. */
async function follow() {
  const to = readAddress();
  const panel = PANELS.includes(to.panel) ? to.panel : "color";
  if (!to.film) return asRead(() => update({ film: null, filmId: "", playing: false }));
  if (to.film !== state.filmId) return openFilm(to.film, to.shot, to.frame, panel);
  const last = Math.max(0, (state.film?.shots.length ?? 1) - 1);
  asRead(() => update({ shot: Math.min(to.shot, last), frame: to.frame, panel, playing: false }));
}

/** @param {string} id @param {number} [shot] @param {number} [frame] @param {string} [panel] */
export async function openFilm(id, shot = 0, frame = 0, panel = state.panel) {
  update({ opening: true, playing: false });
  try {
    const film = /** @type {FilmState} */ (await api.open(id));
    made.clear();
    const place = film.ready ? Math.min(shot, film.shots.length - 1) : shot;
    update({ filmId: id, shot: place, frame, panel, zoom: null, track: null, hint: null });
    take(film);
    say(`${film.name} is open.`);
    refreshSoon(); // what was told while it was opened was told of no film here
    void readServer();
  } catch (error) {
    if (!state.filmId) asRead(() => update({ filmId: "" }));
    fail(error);
  } finally {
    // The address is written while it still counts as opening: Back leaves the film, not halves it.
    setTimeout(() => update({ opening: false }));
  }
}

/** @type {Promise<void>|null} */
let reading = null;
let again = false;

/**
 * Reads the film's state; calls that come meanwhile are answered by one more reading. Whoever
 * waits for it sees what was true when they asked, or newer.
 * @returns {Promise<void>}
 */
export function refresh() {
  again = true;
  reading ??= read().finally(() => (reading = null));
  return reading;
}

async function read() {
  try {
    while (again && state.filmId) {
      again = false;
      const id = state.filmId;
      const film = await api.film(id);
      if (id === state.filmId) take(film);
    }
  } catch (error) {
    if (error instanceof ServerError && error.status === 404 && state.filmId) await reopen();
    else fail(error);
  }
}

/** A server that was started again does not have the film open. */
async function reopen() {
  await openFilm(state.filmId, state.shot, state.frame, state.panel);
}

const refreshSoon = quiet(120, refresh);
const lookAgain = quiet(PROBLEM_MS, () => {
  if (state.film?.problem && !document.hidden) void refresh();
});

/** The keys of colors that were last whole, by shot: shown until newer ones are.
 * @type {Map<string, string>} */
const formerKeys = new Map();

/** @param {Shot} shot */
const placeOf = (shot) => `${state.filmId}/${shot.start}-${shot.end}`;

/** @param {FilmState} film */
function rememberColors(film) {
  for (const shot of film.shots) {
    const whole = shot.state === "ready" || shot.shown_key !== shot.key;
    if (whole && shot.shown_key) formerKeys.set(placeOf(shot), shot.shown_key);
  }
}

/**
 * The key of a shot's color before the last change, while the new one is on its way.
 * @param {Shot} shot
 */
export function formerKey(shot) {
  const key = formerKeys.get(placeOf(shot));
  return !key || key === shot.key ? null : key;
}

/** @param {FilmState} film */
function take(film) {
  const before = state.film?.id === film.id ? state.film : null;
  for (const shot of film.shots) {
    const news = made.get(shot.number);
    if (news?.key === shot.key && shot.state !== "ready" && news.made > (shot.made ?? 0))
      shot.made = news.made;
  }
  rememberColors(film);
  for (const shot of film.shots)
    if (before && before.shots[shot.number]?.key !== shot.key)
      changedAt.set(shot.number, performance.now());
  /** @type {Partial<typeof state>} */
  const values = { film };
  // Exact shots replace the sketch: stay at the same moment, not at the same number.
  if (before && film.ready && !before.ready && state.shot > 0 && before.shots[state.shot]) {
    const now = seconds(before.shots[state.shot].time) + 1e-3;
    const there = film.shots.findLastIndex((shot) => seconds(shot.time) <= now);
    values.shot = Math.max(0, there);
    if (film.shots[values.shot].start !== before.shots[state.shot].start) values.frame = 0;
  } else if (film.ready && state.shot >= film.shots.length) {
    values.shot = Math.max(0, film.shots.length - 1);
  }
  const shot = film.shots[values.shot ?? state.shot];
  const frame = values.frame ?? state.frame;
  if (shot && film.ready && frame >= shot.frames) values.frame = Math.max(0, shot.frames - 1);
  update(values);
  takeJobs(film.jobs ?? []);
  if (film.problem) lookAgain();
}

// Events --------------------------------------------------------------------------------------

/** @param {any} event */
function hear(event) {
  if (event.kind === "film" && event.film === state.filmId) refreshSoon();
  else if (event.kind === "frames" && event.film === state.filmId) hearFrames(event);
  else if (event.kind === "thumb" && event.film === state.filmId) hearThumb(event);
  else if (event.kind === "refresh") void catchUp();
  else if (event.job) takeJobs([event.job]);
  else if (event.state && event.id) takeJobs([{ ...event, kind: event.what ?? event.kind }]);
}

/** @param {{shot: number, key: string, made: number}} event */
function hearFrames({ shot, key, made: count }) {
  made.set(shot, { key, made: count });
  const film = state.film;
  const one = film?.shots[shot];
  if (!film || !one || one.key !== key || one.state === "ready") return;
  one.made = count;
  one.state = "making";
  update({ film: { ...film } });
}

/** When the color of a shot was changed. @type {Map<number, number>} */
const changedAt = new Map();

/** @param {{shot: number, side: string}} event */
function hearThumb({ shot, side }) {
  const name = `${shot}/${side}`;
  thumbs.set(name, (thumbs.get(name) ?? 0) + 1);
  const one = state.film?.shots[shot];
  // It may be of the color before: only the server knows.
  const sure = performance.now() - (changedAt.get(shot) ?? -SURE_MS) >= SURE_MS;
  if (one && side === "after" && sure) one.thumb = true;
  else if (side === "after") refreshSoon();
  if (state.film) update({ film: { ...state.film } });
}

/** @param {Job[]} news */
function takeJobs(news) {
  if (!news.length) return;
  const jobs = [...state.jobs];
  for (const job of news) {
    const place = jobs.findIndex((one) => one.id === job.id);
    const before = jobs[place];
    if (before && !LIVE.includes(before.state) && LIVE.includes(job.state)) continue;
    if (place < 0) jobs.push(job);
    else jobs[place] = job;
    if (before && before.state !== job.state) finish(job);
  }
  update({ jobs });
}

/** @param {Job} job */
function finish(job) {
  if (LIVE.includes(job.state)) return;
  if (!QUIET.includes(job.kind)) {
    if (job.state === "failed") complain(`${job.title}: ${job.message}`);
    if (job.state === "done") say(`${job.title}: done.`);
  }
  if (job.film === state.filmId) refreshSoon();
}

/** A job of the page itself, an upload. @param {Job} job */
export function showJob(job) {
  takeJobs([job]);
}

/** @param {string} id */
export function forgetJob(id) {
  update({ jobs: state.jobs.filter((job) => job.id !== id) });
}

/** @param {Job} job */
export async function cancelJob(job) {
  if (job.local) return job.local();
  try {
    await api.cancel(job.id);
  } catch (error) {
    fail(error);
  }
}

// Whether the server is there -----------------------------------------------------------------

let lostSoon = 0;
let heard = false; // whether something has been missed before a stream opens
/** Those who wait for the server. @type {Set<(value?: any) => void>} */
const waiting = new Set();

/** Resolves when the server answers again. */
export const untilBack = () => new Promise((resolve) => waiting.add(resolve));

export function lose() {
  if (state.connection !== "lost") update({ connection: "lost" });
}

/** @param {boolean} there */
function connected(there) {
  clearTimeout(lostSoon);
  // A stream may end without the server being gone; only silence that lasts is told.
  if (!there) lostSoon = window.setTimeout(lose, 1200);
  else if (heard || state.filmId) void catchUp(); // what was told in between was not heard
  heard ||= there;
}

async function catchUp() {
  await readServer();
  if (state.connection === "lost") return;
  update({ jobs: state.jobs.filter((job) => job.local || !LIVE.includes(job.state)) });
  await refresh();
  for (const go of waiting) go();
  waiting.clear();
}

// Previews ------------------------------------------------------------------------------------

/** Which key a job was asked for. @type {Map<string, string>} */
const askedFor = new Map();

/** Colors the shot shown, when the hand has come to rest and nobody has done it. */
export const previewSoon = quiet(REST_MS, () => {
  if (state.autoPreview) void preview();
});

export async function preview() {
  const [film, shot] = [state.film, shotNow()];
  if (!film?.ready || !shot) return;
  const wanted = `${shot.number}/${shot.key}`;
  const live = state.jobs.filter((job) => LIVE.includes(job.state) && askedFor.has(job.id));
  if (shot.state === "ready") {
    // What was asked for before an undo is wanted no more; it would keep the machine from the rest.
    const old = live.filter((job) => job.shot === shot.number && askedFor.get(job.id) !== wanted);
    return void old.forEach((job) => void cancelJob(job));
  }
  if (live.some((job) => askedFor.get(job.id) === wanted)) return;
  try {
    const { job } = await api.preview(film.id, shot.number);
    const id = job?.id ?? job;
    if (id) askedFor.set(id, wanted);
    if (job?.id) takeJobs([job]);
  } catch (error) {
    fail(error);
  }
}

/** @param {number} shot @param {number} [frame] */
export function goTo(shot, frame = 0) {
  const count = state.film?.shots.length ?? 0;
  if (!count) return;
  const to = Math.min(Math.max(0, shot), count - 1);
  if (to !== state.shot) update({ shot: to, frame, playing: false, track: null, hint: null });
  else update({ frame });
}

/** @param {number} frame */
export function goToFrame(frame) {
  const shot = shotNow();
  if (shot) update({ frame: Math.min(Math.max(0, frame), Math.max(0, shot.frames - 1)) });
}
