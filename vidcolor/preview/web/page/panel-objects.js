// @ts-check
/** Objects: what they are called, which are the same, and what color they have in the film. */

import { api } from "./api.js";
import { fillList, h, iconButton, quiet, row, segment, show, write } from "./dom.js";
import { edit } from "./edits.js";
import { calledTrack, knowsBoxes, neverLooked, tracksHere } from "./objects.js";
import { inkOf } from "./overlay.js";
import { remember } from "./picker.js";
import { fail, goTo } from "./session.js";
import { on, shotNow, state, update } from "./state.js";

/** @typedef {import("./types.js").Track} Track */

const SAVE_MS = 350;
const MOST_SHOWN = 300; // rows; a film of two hours can have thousands of objects

/** Ids ticked for merging. @type {Set<number>} */
const ticked = new Set();
let all = false; // objects of the whole film, not of the shot

export function makeObjectsPanel() {
  const which = segment(
    "Objects of",
    [
      ["shot", "This shot"],
      ["film", "Whole film"],
    ],
    (value) => {
      all = value === "film";
      ticked.clear();
      fill();
    },
    "objects-of",
  );
  const merge = iconButton("merge", "These are one", mergeTicked, { text: true, testid: "merge" });
  const tip = h("p", { class: "how" });
  const rows = h("ul", { class: "rows", "data-testid": "tracks" });
  const empty = h("p", { class: "empty" });
  const find = iconButton("objects", "Find objects of the whole film", findAll, {
    text: true,
    testid: "find-objects",
  });
  const fill = () => {
    const tracks = all ? (state.film?.tracks ?? []) : tracksHere();
    which.fill(all ? "film" : "shot");
    for (const id of ticked) if (!tracks.some((track) => track.id === id)) ticked.delete(id);
    merge.disabled = ticked.size < 2;
    write(
      tip,
      ticked.size
        ? `${ticked.size} ticked. ${ticked.size < 2 ? "Tick those that are the same object." : ""}`
        : "Click a box in the picture, or tick objects that are one and the same.",
    );
    tip.hidden = merge.hidden = !tracks.length;
    fillList(rows, tracks.slice(0, MOST_SHOWN), () => trackRow(fill));
    empty.hidden = tracks.length > 0;
    write(empty, emptyWords());
  };
  on(["film", "shot", "track"], fill);
  return h(
    "div",
    {},
    which,
    tip,
    rows,
    empty,
    h("div", { class: "line wrap" }, merge),
    h("hr"),
    h(
      "p",
      { class: "how" },
      "To know who is who across cuts, the whole film must be looked at once. " +
        "That takes as long as coloring it.",
    ),
    find,
  );
}

function emptyWords() {
  const shot = shotNow();
  if (all) return "No objects of the whole film are known yet.";
  if (neverLooked())
    return (
      "This shot was colored before, and its objects were not written down. " +
      "Find objects of the whole film to know them."
    );
  if (knowsBoxes())
    return "Nothing was found in this shot. Another detector may see more: Settings, Detector.";
  return shot?.state === "ready" ? "Looking …" : "Objects are known once this shot is colored.";
}

function mergeTicked() {
  const tracks = [...ticked];
  void edit(() => ({ do: "merge_tracks", tracks })).then((saved) => saved && ticked.clear());
}

async function findAll() {
  try {
    await api.tracks(state.filmId);
  } catch (error) {
    fail(error);
  }
}

/** @param {() => void} fillAgain */
function trackRow(fillAgain) {
  /** @type {Track} */
  let track;
  const tick = h("input", {
    type: "checkbox",
    "data-testid": "track-tick",
    onchange: () => {
      if (tick.checked) ticked.add(track.id);
      else ticked.delete(track.id);
      fillAgain();
    },
  });
  const pinSoon = quiet(SAVE_MS, () => {
    remember(well.value);
    void edit(() => ({ do: "pin_track", track: track.id, color: well.value }));
  });
  const well = h("input", {
    type: "color",
    class: "well small",
    "data-testid": "track-color",
    oninput: () => pinSoon(),
  });
  const name = h("input", {
    type: "text",
    class: "field quiet",
    maxlength: 80,
    "data-testid": "track-name",
    onchange: () =>
      void edit(() => ({ do: "name_track", track: track.id, name: name.value.trim() })),
  });
  const about = h("button", {
    type: "button",
    class: "plain faint",
    "data-testid": "track-go",
    onclick: () => {
      goTo(
        track.shot,
        track.shot === state.shot && inside(track, state.frame) ? state.frame : track.first_frame,
      );
      update({ track: track.id });
    },
  });
  const unpin = iconButton(
    "close",
    "Color by itself again",
    () => {
      void edit(() => ({ do: "pin_track", track: track.id, color: null }));
    },
    { testid: "track-unpin" },
  );
  const part = iconButton(
    "part",
    "This is another one",
    () => {
      void edit(() => ({ do: "part_track", track: track.id }));
    },
    { testid: "track-part" },
  );
  const item = h(
    "li",
    { "data-testid": "track" },
    h(
      "div",
      { class: "line" },
      tick,
      well,
      h("div", { class: "grow stack" }, name, about),
      unpin,
      part,
    ),
  );
  return row(item, (/** @type {Track} */ next) => {
    track = next;
    const called = calledTrack(track);
    tick.checked = ticked.has(track.id);
    tick.setAttribute("aria-label", `${called} is one of the same`);
    const color = track.color && track.color.startsWith("#") ? track.color : track.mean;
    if (document.activeElement !== well) well.value = color ?? "#808080";
    well.classList.toggle("off", !track.color);
    well.title = track.color ? `Pinned: ${track.color}` : "Pin a color";
    well.setAttribute("aria-label", `Color of ${called}${track.color ? ", pinned" : ""}`);
    show(name, track.name);
    name.placeholder = called;
    name.setAttribute("aria-label", `Name of ${called}`);
    // Shots are looked at one by one: equal names of what was only found mean nothing yet.
    const known = (state.film?.tracks ?? []).filter((one) => one.known);
    const same = known.filter((one) => track.known && one.identity === track.identity).length;
    about.title = track.known ? "" : "Found, but nothing has been said of it";
    const frames =
      track.last_frame >= track.first_frame
        ? `frames ${track.first_frame + 1}–${track.last_frame + 1}`
        : "";
    write(
      about,
      [
        all ? `shot ${track.shot + 1}` : "",
        frames,
        track.color ? "pinned" : "",
        track.known ? "" : "new",
        same > 1 ? `one of ${same} of “${track.identity}”` : "",
      ]
        .filter(Boolean)
        .join(" · "),
    );
    unpin.hidden = !track.color;
    part.hidden = same < 2;
    item.classList.toggle("chosen", track.id === state.track);
    item.style.borderInlineStartColor = inkOf((track.known && track.identity) || track.id);
  });
}

/** @param {Track} track @param {number} frame */
function inside(track, frame) {
  return frame >= track.first_frame && frame <= track.last_frame;
}
