// @ts-check
/** Below the picture: where in the shot, playing, what is shown over it, how large. */

import { byId, clock, h, icon, quiet, seconds, segment, setIcon, write } from "./dom.js";
import { api } from "./api.js";
import { hintsHere } from "./overlay.js";
import { frameTimes } from "./objects.js";
import { toggle } from "./playback.js";
import { fail, goTo, goToFrame } from "./session.js";
import { on, shotNow, state, update } from "./state.js";
import { complain } from "./toast.js";
import { fit, scale, trueSize } from "./view.js";

const scrub = byId("scrub");

export function startTransport() {
  startScrub();
  startButtons();
  startShow();
  startZoom();
}

// The scrub bar -------------------------------------------------------------------------------

function startScrub() {
  const made = byId("scrub-made");
  const knob = byId("scrub-knob");
  const marks = byId("scrub-marks");
  const seek = (/** @type {PointerEvent} */ event) => {
    const shot = shotNow();
    const box = scrub.getBoundingClientRect();
    const part = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    if (shot) goToFrame(Math.round(part * (shot.frames - 1)));
  };
  scrub.addEventListener("pointerdown", (event) => {
    scrub.setPointerCapture(event.pointerId);
    update({ playing: false });
    seek(event);
  });
  scrub.addEventListener(
    "pointermove",
    (event) => scrub.hasPointerCapture(event.pointerId) && seek(event),
  );
  scrub.addEventListener("keydown", (event) => {
    const last = (shotNow()?.frames ?? 1) - 1;
    const by = event.shiftKey ? 10 : 1;
    const to = {
      ArrowLeft: state.frame - by,
      ArrowDown: state.frame - by,
      ArrowRight: state.frame + by,
      ArrowUp: state.frame + by,
      PageUp: state.frame - 10,
      PageDown: state.frame + 10,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    update({ playing: false });
    goToFrame(to);
  });
  on(["film", "shot", "frame"], () => {
    const shot = shotNow();
    scrub.classList.toggle("off", !shot);
    const last = Math.max(1, (shot?.frames ?? 1) - 1);
    const part = Math.min(1, state.frame / last);
    knob.style.left = `${part * 100}%`;
    const done = !shot
      ? 0
      : shot.state === "ready"
        ? 1
        : shot.state === "making"
          ? (shot.made ?? 0) / Math.max(1, shot.frames)
          : 0;
    made.style.transform = `scaleX(${Math.min(1, done)})`;
    scrub.setAttribute("aria-valuemax", String(shot?.frames ?? 1));
    scrub.setAttribute("aria-valuenow", String(state.frame + 1));
    scrub.setAttribute(
      "aria-valuetext",
      shot
        ? `Frame ${state.frame + 1} of ${shot.frames}, ${Math.round(done * 100)} % colored`
        : "No film",
    );
  });
  on(["film", "shot"], () => {
    const shot = shotNow();
    const frames = new Set(
      hintsHere()
        .map((hint) => (hint.kind === "whole" ? null : hint.frame))
        .filter((frame) => frame !== null),
    );
    marks.replaceChildren(
      ...[...frames].map((frame) => {
        const mark = h("i", {});
        mark.style.left = `${(Number(frame) / Math.max(1, (shot?.frames ?? 1) - 1)) * 100}%`;
        return mark;
      }),
    );
  });
}

// Playing -------------------------------------------------------------------------------------

function startButtons() {
  const play = byId("play");
  play.addEventListener("click", toggle);
  byId("frame-back").addEventListener("click", () => step(-1));
  byId("frame-forth").addEventListener("click", () => step(1));
  byId("shot-back").addEventListener("click", () => goTo(state.shot - 1));
  byId("shot-forth").addEventListener("click", () => goTo(state.shot + 1));
  byId("mute").addEventListener("click", () => update({ muted: !state.muted }));
  byId("loop").addEventListener("click", () => update({ loop: !state.loop }));
  on(["playing"], () => {
    setIcon(play, state.playing ? "pause" : "play");
    play.setAttribute("aria-label", state.playing ? "Pause" : "Play this shot");
  });
  on(["muted", "loop"], () => {
    setIcon(byId("mute"), state.muted ? "silent" : "sound");
    byId("mute").setAttribute("aria-pressed", String(state.muted));
    byId("loop").setAttribute("aria-pressed", String(state.loop));
  });
  on(["film", "shot", "frame"], () => {
    const shot = shotNow();
    const at = shot ? seconds(shot.time) + (frameTimes(shot)[state.frame] ?? 0) : 0;
    write(byId("timecode"), clock(at));
    write(byId("frame-count"), shot ? `${state.frame + 1} / ${shot.frames}` : "");
    for (const id of ["play", "frame-back", "frame-forth", "shot-back", "shot-forth"])
      /** @type {HTMLButtonElement} */ (byId(id)).disabled = !shot;
  });
}

/** @param {number} by */
export function step(by) {
  update({ playing: false });
  goToFrame(state.frame + by);
}

// What is shown over it -----------------------------------------------------------------------

const OVERLAYS = /** @type {[keyof typeof state.overlays, string, string, string][]} */ ([
  ["hints", "Hints", "dot", "Dots and strokes of this frame"],
  ["boxes", "Objects", "objects", "Boxes, names and scores of what was found"],
  ["sure", "Reach", "sure", "Where your word reaches"],
  ["damage", "Damage", "damage", "Dust, hairs and scratches by kind"],
]);

/** @param {keyof typeof state.overlays} name */
export function toggleOverlay(name) {
  const shown = !state.overlays[name];
  update({ overlays: { ...state.overlays, [name]: shown } });
  const ready = shotNow()?.state === "ready";
  if (shown && (name === "boxes" || name === "sure") && !ready)
    complain(
      `${name === "boxes" ? "Objects are" : "Where your word reaches is"} known ` +
        `once this shot is colored.`,
    );
}

function startShow() {
  const box = byId("overlays");
  for (const [name, text, picture, why] of OVERLAYS)
    box.append(
      h(
        "button",
        {
          type: "button",
          class: "chip",
          "data-testid": `overlay-${name}`,
          title: why,
          "aria-label": text,
          "aria-pressed": "false",
          onclick: () => toggleOverlay(name),
        },
        icon(picture),
        h("span", {}, text),
      ),
    );
  const compare = segment(
    "Show",
    [
      ["before", "Before"],
      ["split", "Both"],
      ["after", "After"],
    ],
    (value) => update({ compare: /** @type {any} */ (value) }),
    "compare",
  );
  byId("compare").append(compare);
  on(["compare"], () => compare.fill(state.compare));
  on(["overlays"], () =>
    OVERLAYS.forEach(([name], place) =>
      box.children[place].setAttribute("aria-pressed", String(state.overlays[name])),
    ),
  );
  on(["overlays", "film"], () => (byId("legend").hidden = !state.overlays.damage || !state.film));
  on(["overlays", "shot", "filmId"], damageSoon);
}

/** Shots for which damage was asked. */
const damageAsked = new Set();

// Looking for damage takes the machine a while: not for shots that are only passed.
const damageSoon = quiet(500, async () => {
  const name = `${state.filmId}/${state.shot}`;
  if (!state.overlays.damage || !state.film?.ready || damageAsked.has(name)) return;
  damageAsked.add(name);
  try {
    await api.damage(state.filmId, state.shot);
  } catch (error) {
    damageAsked.delete(name);
    fail(error);
  }
});

// How large -----------------------------------------------------------------------------------

function startZoom() {
  const box = byId("zoom");
  const whole = h(
    "button",
    {
      type: "button",
      class: "chip text",
      "data-testid": "zoom-fit",
      title: "All of the picture (0)",
      onclick: fit,
    },
    "Fit",
  );
  const real = h(
    "button",
    {
      type: "button",
      class: "chip text",
      "data-testid": "zoom-full",
      title: "Every pixel of the film is one of the screen (1)",
      onclick: trueSize,
    },
    "100 %",
  );
  box.append(whole, real);
  on(["zoom", "fullSize", "film"], () => {
    whole.setAttribute("aria-pressed", String(state.zoom === null));
    real.setAttribute("aria-pressed", String(state.zoom === 1));
    const now = Math.round(scale() * devicePixelRatio * 100);
    write(
      byId("zoom-now"),
      state.zoom === null || !state.film
        ? ""
        : `${now} %${state.fullSize ? " · full quality" : ""}`,
    );
  });
}
