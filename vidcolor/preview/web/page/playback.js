// @ts-check
/**
 * Playing a shot. A colored shot plays its clip: before above after in one picture, so both
 * are always the same moment, with the film's sound. A shot that is still being colored plays
 * frame by frame, as fast as frames come, and waits where there is none yet.
 */

import { addresses } from "./api.js";
import { byId, say } from "./dom.js";
import { address, isMade, load } from "./frames.js";
import { frameTimes } from "./objects.js";
import { redraw } from "./player.js";
import { isRead, readShot } from "./reading.js";
import { formerKey, goToFrame } from "./session.js";
import { on, shotNow, state, update } from "./state.js";
import { complain } from "./toast.js";

const WAIT_MS = 250; // before looking again for a frame that is not made yet

const video = /** @type {HTMLVideoElement} */ (byId("clip"));
let loaded = ""; // address of the clip
let run = 0; // the playing that counts; older ones end

/** The clip's picture, if that is what plays. @returns {HTMLVideoElement|null} */
export function clipPicture() {
  return loaded && video.readyState >= 2 && video.videoWidth ? video : null;
}

/**
 * The clip that can be played: of a shot that nobody colors anew, the one before the change.
 * @param {import("./types.js").Shot} shot
 */
function clipOf(shot) {
  const key = { ready: shot.key, stale: formerKey(shot), making: null, none: null }[shot.state];
  return key ? addresses.clip(state.filmId, shot.number, key) : "";
}

export function startPlayback() {
  on(["playing"], () => (state.playing ? void play() : stop()));
  on(["muted"], () => (video.muted = state.muted));
  on(["film", "shot"], () => {
    // New color while the old clip plays: the old one would lie.
    const shot = shotNow();
    const clip = shot ? clipOf(shot) : "";
    if (loaded && clip !== loaded) unload();
  });
  video.addEventListener("ended", ended);
  video.addEventListener("error", () => {
    if (!loaded || !state.playing) return;
    unload();
    update({ playing: false });
    complain(
      "The clip of this shot cannot be played. Make the shot again, or step through its frames.",
    );
  });
}

export function toggle() {
  if (shotNow()) update({ playing: !state.playing });
}

async function play() {
  const shot = shotNow();
  const mine = ++run;
  if (!shot) return update({ playing: false });
  if (state.frame >= shot.frames - 1) goToFrame(0);
  if (clipOf(shot)) await playClip(mine);
  else await playFrames(mine);
}

function stop() {
  run += 1;
  if (!video.paused) video.pause();
  if (loaded) redraw();
}

function unload() {
  loaded = "";
  video.removeAttribute("src");
  video.load();
  if (state.playing) void play();
}

/** @param {number} mine */
async function playClip(mine) {
  const shot = /** @type {import("./types.js").Shot} */ (shotNow());
  const clip = clipOf(shot);
  if (loaded !== clip) {
    loaded = clip;
    video.src = clip;
    await new Promise((resolve) => {
      video.addEventListener("loadeddata", resolve, { once: true });
      video.addEventListener("error", resolve, { once: true });
    });
  }
  if (mine !== run || !state.playing) return;
  // A hair inside the frame: at its very edge browsers show the one before.
  video.currentTime = frameTimes(shot)[state.frame] + 1e-3;
  try {
    await video.play();
  } catch {
    // Browsers refuse sound before the first click; a film that plays silently is better than none.
    video.muted = true;
    await video.play().catch(() => update({ playing: false }));
  }
  update({ shown: shot.state === "ready" ? "exact" : "former" });
  follow(mine, shot);
}

/** Keeps frame number and picture with the clip. @param {number} mine
 *  @param {import("./types.js").Shot} shot */
function follow(mine, shot) {
  const times = frameTimes(shot);
  const seen = (/** @type {number} */ time) => {
    if (mine !== run || !state.playing) return;
    let frame = times.length - 1;
    while (frame > 0 && times[frame] > time + 1e-3) frame -= 1;
    update({ frame });
    redraw();
    next();
  };
  const next = () => {
    if ("requestVideoFrameCallback" in video)
      video.requestVideoFrameCallback((_, about) => seen(about.mediaTime));
    else requestAnimationFrame(() => seen(/** @type {any} */ (video).currentTime));
  };
  next();
}

function ended() {
  if (!state.playing) return;
  const shot = shotNow();
  if (!state.loop || !shot)
    return update({ playing: false, frame: Math.max(0, (shot?.frames ?? 1) - 1) });
  video.currentTime = 0;
  void video.play();
  follow(++run, shot);
}

/** @param {number} mine */
async function playFrames(mine) {
  say("Playing frame by frame; with sound once the shot is colored.");
  while (mine === run && state.playing) {
    const shot = shotNow();
    if (!shot) return;
    if (clipOf(shot)) return playClip(mine);
    const started = performance.now();
    const next = state.frame + 1;
    if (next >= shot.frames) {
      if (!state.loop) return update({ playing: false });
      goToFrame(0);
    } else {
      if (!isRead(shot, next)) {
        void readShot(shot);
        await pause(WAIT_MS);
        continue;
      }
      const sides = isMade(shot, next) ? ["before", "after"] : ["before"];
      // While color is on its way, wait for it: that is what they want to see.
      if (shot.state === "making" && sides.length === 1) {
        await pause(WAIT_MS);
        continue;
      }
      await Promise.all(sides.map((side) => load(address(shot, next, side))));
      if (mine !== run || !state.playing) return;
      goToFrame(next);
    }
    const times = frameTimes(shot);
    const length = ((times[1] ?? 0.04) - (times[0] ?? 0)) * 1000;
    await pause(Math.max(0, length - (performance.now() - started)));
  }
}

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
