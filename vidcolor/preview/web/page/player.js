// @ts-check
/**
 * The stage: one canvas, the source on the left of the line and vidcolor's work on the right.
 *
 * Three kinds of pictures come to it: frames in their final color, a quick look at one frame
 * that is colored by itself (at once, but it knows nothing of its neighbors), and while a
 * shot plays the stacked clip. The best one that is there is drawn.
 */

import { byId, quiet, say, write } from "./dom.js";
import {
  address,
  formerAddress,
  fullAddress,
  isMade,
  load,
  lookAddress,
  ready,
  stopOthers,
} from "./frames.js";
import { drawOverlay } from "./overlay.js";
import { clipPicture } from "./playback.js";
import { isRead, readShot } from "./reading.js";
import { preview } from "./session.js";
import { on, shotNow, state, update } from "./state.js";
import { picture, scale, stage, visible } from "./view.js";

const LOOK_AFTER_MS = 160; // a quick look costs the server a moment: not for every frame passed
const FULL_AFTER_MS = 300;
const SHARP_FROM = 2; // screen pixels for a film pixel, from where pixels are shown as squares
const AHEAD = 3;

const canvas = /** @type {HTMLCanvasElement} */ (byId("picture"));
const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
const divider = byId("divider");
const grip = byId("grip");

/** What is drawn, all of one frame. `of` says of which. */
const shown = {
  of: "",
  /** @type {ImageBitmap|null} */ before: null,
  /** @type {ImageBitmap|null} */ after: null,
};
const blank = { before: null, after: null };
let unread = false; // whether the frame before is waited for

export function startPlayer() {
  new ResizeObserver(resize).observe(byId("stage"));
  on(["film", "filmId", "shot", "frame", "playing"], wish);
  on(["jobs"], () => {
    const shot = shotNow();
    if (unread && shot && isRead(shot, state.frame)) wish();
  });
  on(["split", "compare", "zoom", "overlays", "hint", "track", "tool", "theme"], redraw);
  on(["shown", "film"], redraw);
  on(["zoom", "film", "frame", "shot", "playing"], fullSoon);
  on(["shown", "film", "shot", "frame", "connection"], tellKind);
  byId("make").addEventListener("click", () => void preview());
  startGrip();
}

function resize() {
  const box = byId("stage").getBoundingClientRect();
  Object.assign(stage, { w: Math.max(1, box.width), h: Math.max(1, box.height) });
  for (const one of [canvas, /** @type {HTMLCanvasElement} */ (byId("overlay"))]) {
    one.width = Math.round(stage.w * devicePixelRatio);
    one.height = Math.round(stage.h * devicePixelRatio);
  }
  draw();
  fullSoon();
}

// Which pictures ------------------------------------------------------------------------------

/** Asks for what should be seen now. */
function wish() {
  const shot = shotNow();
  if (!shot) {
    Object.assign(shown, { of: "", ...blank });
    unread = false;
    lookSoon.stop();
    lookFor = "";
    update({ shown: "none" });
    return redraw();
  }
  if (state.playing && clipPicture()) {
    played = true;
    shown.of = "";
    return;
  }
  const frame = state.frame;
  const exact = isMade(shot, frame);
  turnTo(shot, frame, exact);
  const before = address(shot, frame, "before");
  const after = exact ? address(shot, frame, "after") : lookAddress(shot, frame);
  const former = exact ? null : formerAddress(shot, frame);
  const sketch = !state.film?.ready; // only thumbnails are known, and nothing is colored yet
  const next = sketch
    ? []
    : [...Array(AHEAD).keys()].map((n) => frame + n + 1).filter((n) => n < shot.frames);
  const wanted = new Set([
    before,
    address(shot, 0, "before"),
    after,
    former,
    ...next.flatMap((n) => [address(shot, n, "before"), address(shot, n, "after")]),
  ]);
  stopOthers((one) => wanted.has(one));
  unread = !isRead(shot, frame);
  if (unread) void readShot(shot);
  else void load(before).then((picture) => picture && place("before", picture, before));
  if (ready(after)) place("after", /** @type {ImageBitmap} */ (ready(after)), after);
  else if (exact) void load(after).then((picture) => picture && place("after", picture, after));
  else if (!sketch) {
    update({ shown: "loading" });
    if (former) void load(former).then((picture) => picture && place("after", picture, former));
    look();
  } else update({ shown: "loading" });
  const fetchNext = exact || state.playing;
  // Frames of a shot are read and colored together: what is not made may not be read either.
  if (fetchNext)
    for (const n of next) {
      if (!isMade(shot, n)) continue;
      void load(address(shot, n, "before"));
      void load(address(shot, n, "after"));
    }
}

/**
 * Before and after are always of one frame. What is there already of another one stays until the
 * new one comes only where that is at once; elsewhere it would lie.
 * @param {import("./types.js").Shot} shot @param {number} frame @param {boolean} exact
 */
function turnTo(shot, frame, exact) {
  const place = `${state.filmId}/${shot.start}`;
  const of = `${place}/${frame}`;
  if (shown.of === of) return;
  const near = shown.of.startsWith(`${place}/`) && exact;
  const old = { before: shown.before, after: shown.after };
  Object.assign(shown, { of, ...blank });
  earlier = !near ? null : old.before && old.after ? old : earlier;
  paused = played ? of : "";
  played = false;
}

/** The pair of another frame, until both of this one are there.
 * @type {{before: ImageBitmap|null, after: ImageBitmap|null}|null} */
let earlier = null;
let played = false; // whether the clip was what was seen last
let paused = ""; // of which frame the clip stands still
let full = ""; // which frame is shown at full size, and in which color

/** Asks for a quick look at what is shown; asking again for the same does not put it off. */
function look() {
  const shot = shotNow();
  if (!shot) return;
  const of = lookAddress(shot, state.frame);
  if (of !== lookFor) lookSoon();
  lookFor = of;
}

let lookFor = "";

const lookSoon = quiet(LOOK_AFTER_MS, () => {
  const shot = shotNow();
  lookFor = "";
  if (!shot || state.playing || isMade(shot, state.frame)) return;
  const look = lookAddress(shot, state.frame);
  void load(look).then((picture) => picture && place("after", picture, look));
});

/** @param {"before"|"after"} side @param {ImageBitmap} picture @param {string} of */
function place(side, picture, of) {
  const shot = shotNow();
  if (!shot) return;
  const frame = state.frame;
  if (side === "before") {
    if (of !== address(shot, frame, side)) return;
  } else if (of === address(shot, frame, side)) update({ shown: "exact" });
  else if (of === lookAddress(shot, frame) && !isMade(shot, frame)) update({ shown: "quick" });
  else if (of === formerAddress(shot, frame) && state.shown === "loading")
    update({ shown: "former" });
  else return;
  if (full === `${shown.of}/${shot.key}` && state.fullSize) return;
  shown[side] = picture;
  if (shown.before && shown.after) earlier = null;
  redraw();
}

const fullSoon = quiet(FULL_AFTER_MS, async () => {
  const shot = shotNow();
  if (shot && state.zoom !== null && full === `${shown.of}/${shot.key}`) return;
  full = "";
  update({ fullSize: false });
  if (!shot || state.playing || !shown.before) return;
  const smaller = shown.before.width < (state.film?.width ?? 0);
  const needed = scale() * devicePixelRatio * (state.film?.width ?? 0) > shown.before.width * 1.02;
  if (!smaller || !needed || state.zoom === null) return;
  const [of, frame] = [shot.number, state.frame];
  const sides = /** @type {("before"|"after")[]} */ (
    shot.state === "ready" ? ["before", "after"] : ["before"]
  );
  const pictures = await Promise.all(sides.map((side) => load(fullAddress(shot, frame, side))));
  if (shotNow()?.number !== of || state.frame !== frame || state.zoom === null) return;
  sides.forEach((side, n) => pictures[n] && (shown[side] = pictures[n]));
  const whole = pictures.every(Boolean) && sides.length === 2;
  if (whole) full = `${shown.of}/${shot.key}`;
  update({ fullSize: whole });
  redraw();
});

// Drawing -------------------------------------------------------------------------------------

let due = 0;

export function redraw() {
  due ||= requestAnimationFrame(draw);
}

function draw() {
  cancelAnimationFrame(due);
  due = 0;
  pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  pen.clearRect(0, 0, stage.w, stage.h);
  const all = picture();
  pen.imageSmoothingEnabled = scale() * devicePixelRatio < SHARP_FROM;
  pen.imageSmoothingQuality = "high";
  const still = paused === shown.of && !(shown.before && shown.after);
  const clip = state.playing || still ? clipPicture() : null;
  const seen = visible();
  const at = { before: seen.x + seen.w, split: seen.x + seen.w * state.split, after: seen.x }[
    state.compare
  ];
  if (clip) drawClip(clip, all, at);
  else if (shown.before || shown.after || earlier) drawPair(all, at);
  placeDivider(at, seen);
  drawOverlay();
}

/** @param {import("./view.js").Rect} all @param {number} at */
function drawPair(all, at) {
  const { before, after } = earlier ?? shown;
  if (before) pen.drawImage(before, all.x, all.y, all.w, all.h);
  else if (after) drawGray(after, all);
  if (!after) return;
  pen.save();
  pen.beginPath();
  pen.rect(at, 0, stage.w - at, stage.h);
  pen.clip();
  pen.drawImage(after, all.x, all.y, all.w, all.h);
  pen.restore();
}

/**
 * Color lies over the luma of the film, so without it the film is seen again: good enough until
 * the frame itself has been read. Where the film has color nobody knows it yet.
 * @param {ImageBitmap} picture @param {import("./view.js").Rect} all
 */
function drawGray(picture, all) {
  if (state.film?.has_color) return;
  pen.drawImage(picture, all.x, all.y, all.w, all.h);
  pen.globalCompositeOperation = "saturation";
  pen.fillStyle = "#808080";
  pen.fillRect(all.x, all.y, all.w, all.h);
  pen.globalCompositeOperation = "source-over";
}

/** @param {HTMLVideoElement} clip @param {import("./view.js").Rect} all @param {number} at */
function drawClip(clip, all, at) {
  const [w, half] = [clip.videoWidth, clip.videoHeight / 2];
  pen.drawImage(clip, 0, 0, w, half, all.x, all.y, all.w, all.h);
  pen.save();
  pen.beginPath();
  pen.rect(at, 0, stage.w - at, stage.h);
  pen.clip();
  pen.drawImage(clip, 0, half, w, half, all.x, all.y, all.w, all.h);
  pen.restore();
}

// The line between before and after -----------------------------------------------------------

/** @param {number} at @param {import("./view.js").Rect} seen */
function placeDivider(at, seen) {
  const there = Boolean(state.film?.shots.length);
  divider.hidden = state.compare !== "split" || !there;
  divider.style.transform = `translate(${at}px, ${seen.y}px)`;
  divider.style.height = `${seen.h}px`;
  grip.setAttribute("aria-valuenow", String(Math.round(state.split * 100)));
  grip.setAttribute("aria-valuetext", `${Math.round(state.split * 100)} % before, the rest after`);
  const labels = /** @type {[string, number, number][]} */ ([
    ["label-before", seen.x, at - seen.x],
    ["label-after", at, seen.x + seen.w - at],
  ]);
  for (const [id, x, room] of labels) {
    const label = byId(id);
    label.hidden = !there || room < 76;
    const left = id === "label-before" ? x + 10 : x + room - 10;
    label.style.transform = `translate(${left}px, ${seen.y + 10}px)`;
  }
}

/** @param {number} x of the stage, in CSS pixels */
export function moveDivider(x) {
  const seen = visible();
  update({ split: Math.min(1, Math.max(0, (x - seen.x) / Math.max(1, seen.w))) });
}

function startGrip() {
  grip.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    grip.setPointerCapture(event.pointerId);
  });
  grip.addEventListener("pointermove", (event) => {
    if (!grip.hasPointerCapture(event.pointerId)) return;
    moveDivider(event.clientX - byId("stage").getBoundingClientRect().left);
  });
  grip.addEventListener("keydown", (event) => {
    const by = event.shiftKey ? 0.1 : 0.02;
    const to = {
      ArrowLeft: state.split - by,
      ArrowDown: state.split - by,
      ArrowRight: state.split + by,
      ArrowUp: state.split + by,
      Home: 0,
      End: 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    update({ split: Math.min(1, Math.max(0, to)) });
  });
}

// What kind of picture it is ------------------------------------------------------------------

function tellKind() {
  const [film, shot] = [state.film, shotNow()];
  const badge = byId("kind");
  const make = byId("make");
  badge.hidden = !film || !shot;
  if (!film || !shot) return;
  const making = shot.state === "making";
  const texts = {
    none: "",
    loading: making ? "Coloring …" : "A quick look comes …",
    former: making ? "As before the change; coloring …" : "As before the change",
    quick: making ? "Quick look" : "Quick look: this frame by itself",
    exact: shot.state === "ready" ? "Exact: as it will be rendered" : "Exact so far",
  };
  let text = texts[state.shown];
  const count = Math.min(shot.made ?? 0, shot.frames);
  if (making && count) text += ` · ${count} of ${shot.frames} frames made`;
  else if (making && state.shown === "quick") text += "; the exact color is on its way";
  if (!film.ready) text = "Cuts are being found; color comes in a moment";
  write(byId("kind-text"), text);
  badge.setAttribute("data-kind", state.shown);
  make.hidden = !film.ready || shot.state === "ready" || making;
  canvas.setAttribute(
    "aria-label",
    `Shot ${shot.number + 1} of ${film.shots.length}, frame ${state.frame + 1} ` +
      `of ${shot.frames}. ` +
      `Left of the line the source, right of it the color. ${text}`,
  );
  const told = `${shot.number}/${shot.state}`;
  if (told !== lastTold && shot.state === "ready") say(`Shot ${shot.number + 1} is colored.`);
  lastTold = told;
}

let lastTold = "";
