// @ts-check
/**
 * What the page knows, in one place. Parts of the page listen to the names they show;
 * changes made together are told together, once.
 *
 * Three memories: the color script (on the server) holds what a person says about the film,
 * the address holds where they are (so reload, back and bookmarks work), localStorage holds
 * how they like the page.
 */

/** @typedef {import("./types.js").FilmState} FilmState */
/** @typedef {import("./types.js").ServerState} ServerState */
/** @typedef {import("./types.js").Job} Job */

const LIKED = "vidcolor"; // the one key in localStorage

export const state = {
  /** @type {ServerState|null} */ server: null,
  /** @type {FilmState|null} */ film: null,
  filmId: "",
  opening: false,
  shot: 0,
  frame: 0,
  panel: "color",
  /** @type {"look"|"dot"|"stroke"|"area"|"object"} */ tool: "look",
  color: "#b5653a",
  radius: 0.012,
  reach: 1,
  bind: "auto",
  overlays: { hints: true, boxes: false, sure: false, damage: false },
  /** @type {"before"|"split"|"after"} */ compare: "split",
  split: 0.5,
  /** Screen pixels for each pixel of the film; null: all of the picture. @type {number|null} */
  zoom: null,
  playing: false,
  loop: true,
  muted: false,
  autoPreview: true,
  theme: "auto",
  /** @type {string[]} */ recent: [],
  /** @type {Record<string, boolean>} */ seen: {},
  /** @type {Job[]} */ jobs: [],
  /** @type {"saved"|"saving"|"failed"} */ saving: "saved",
  /** @type {"ok"|"lost"|"back"} */ connection: "ok",
  /** What is known of the picture shown. @type {"none"|"loading"|"former"|"quick"|"exact"} */
  shown: "none",
  fullSize: false,
  /** @type {number|null} */ track: null,
  /** @type {string|null} */ hint: null,
};

/** @typedef {keyof typeof state} Name */

const kept = /** @type {const} */ ([
  "theme",
  "split",
  "compare",
  "loop",
  "muted",
  "autoPreview",
  "recent",
  "color",
  "overlays",
  "seen",
]);

/** @type {Map<string, Set<() => void>>} */
const listeners = new Map();
/** @type {Set<string>} */
const changed = new Set();

/**
 * Calls `react` after any of `names` has changed, and once now.
 * @param {Name[]} names
 * @param {() => void} react
 */
export function on(names, react) {
  for (const name of names) {
    if (!listeners.has(name)) listeners.set(name, new Set());
    listeners.get(name)?.add(react);
  }
  react();
}

/** @param {Partial<typeof state>} values */
export function update(values) {
  for (const [name, value] of Object.entries(values)) {
    if (Object.is(/** @type {any} */ (state)[name], value)) continue;
    /** @type {any} */ (state)[name] = value;
    if (changed.size === 0) queueMicrotask(tell);
    changed.add(name);
  }
}

function tell() {
  const names = [...changed];
  changed.clear();
  /** @type {Set<() => void>} */
  const due = new Set();
  for (const name of names) listeners.get(name)?.forEach((react) => due.add(react));
  due.forEach((react) => react());
  if (names.some((name) => kept.includes(/** @type {any} */ (name)))) keep();
  if (names.some((name) => ["filmId", "shot", "panel"].includes(name))) writeAddress(true);
  else if (names.includes("frame")) writeAddress(false);
}

/** The shot that is shown. */
export function shotNow() {
  return state.film?.shots[state.shot] ?? null;
}

// How people like it --------------------------------------------------------------------------

export function recall() {
  try {
    const liked = JSON.parse(localStorage.getItem(LIKED) ?? "{}");
    for (const name of kept) {
      if (name in liked && typeof liked[name] === typeof state[name])
        /** @type {any} */ (state)[name] = liked[name];
    }
  } catch {
    // A browser that keeps nothing, or something that is not ours: begin as new.
  }
}

function keep() {
  try {
    localStorage.setItem(LIKED, JSON.stringify(Object.fromEntries(kept.map((n) => [n, state[n]]))));
  } catch {
    // Private windows may refuse; nothing but taste is lost.
  }
}

// Where they are ------------------------------------------------------------------------------

let timer = 0;
let reading = false;

/** @param {boolean} step Whether Back should return to where they were. */
function writeAddress(step) {
  clearTimeout(timer);
  if (reading) return;
  // Browsers refuse too many changes of the address while a film plays.
  if (step) store(true);
  else timer = window.setTimeout(() => store(false), 300);
}

/** @param {boolean} step */
function store(step) {
  const words = new URLSearchParams();
  if (state.filmId) {
    words.set("film", state.filmId);
    words.set("shot", String(state.shot + 1));
    words.set("frame", String(state.frame));
    words.set("panel", state.panel);
  }
  const hash = words.size ? `#${words}` : "";
  if (hash === location.hash) return;
  const address = location.pathname + location.search + hash;
  if (step && state.opening === false) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

/** @returns {{film: string, shot: number, frame: number, panel: string}} */
export function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  const whole = (/** @type {string} */ name, /** @type {number} */ least) =>
    Math.max(least, Number.parseInt(words.get(name) ?? "", 10) || least);
  return {
    film: words.get("film") ?? "",
    shot: whole("shot", 1) - 1,
    frame: whole("frame", 0),
    panel: words.get("panel") ?? "color",
  };
}

/**
 * Changes that come from the address must not be written back as new steps.
 * @param {() => void} change
 */
export function asRead(change) {
  reading = true;
  change();
  queueMicrotask(() => (reading = false));
}
