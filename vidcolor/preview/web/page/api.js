// @ts-check
/** The server, as the page sees it: addresses, calls, and what it tells by itself. */

export class ServerError extends Error {
  /** @param {string} text @param {number} status 0: the server does not answer */
  constructor(text, status) {
    super(text);
    this.status = status;
  }
}

const AGAIN_MS = 1500; // before a stream that broke is opened again
const OURS = { "X-Vidcolor": "1" }; // no other site's form can send it

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>}
 */
async function call(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: body ? { ...OURS, "Content-Type": "application/json" } : OURS,
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch {
    throw new ServerError("The server does not answer.", 0);
  }
  return read(answer.status, await answer.text());
}

/** @param {number} status @param {string} text */
function read(status, text) {
  let said = null;
  try {
    said = JSON.parse(text);
  } catch {
    // Not JSON: only the status says what happened.
  }
  if (status >= 200 && status < 300) return said ?? {};
  throw new ServerError(said?.error ?? `The server answered ${status}. Reload the page.`, status);
}

/** @param {string} film */
const filmPath = (film) => `/api/films/${film}`;
/** @param {string} film @param {number} shot */
const shotPath = (film, shot) => `${filmPath(film)}/shots/${shot}`;

export const api = {
  state: () => call("GET", "/api/state"),
  /** @param {string} film */
  open: (film) => call("POST", `${filmPath(film)}/open`),
  /** @param {string} film */
  film: (film) => call("GET", filmPath(film)),
  /** @param {string} film @param {number} revision @param {object[]} edits */
  edit: (film, revision, edits) => call("POST", `${filmPath(film)}/edits`, { revision, edits }),
  /** @param {string} film */
  undo: (film) => call("POST", `${filmPath(film)}/undo`),
  /** @param {string} film */
  redo: (film) => call("POST", `${filmPath(film)}/redo`),
  /** @param {string} film @param {number} shot */
  preview: (film, shot) => call("POST", `${shotPath(film, shot)}/preview`),
  /** @param {string} film @param {number} shot */
  damage: (film, shot) => call("POST", `${shotPath(film, shot)}/damage`),
  /** @param {string} film */
  tracks: (film) => call("POST", `${filmPath(film)}/tracks`),
  /** @param {string} film @param {{name?: string, overwrite?: boolean}} wish */
  render: (film, wish) => call("POST", `${filmPath(film)}/render`, wish),
  /** @param {string} job */
  cancel: (job) => call("DELETE", `/api/jobs/${job}`),
  /** @param {string} film @param {number} shot @param {string} key */
  overlay: (film, shot, key) => call("GET", `${shotPath(film, shot)}/overlay.json?key=${key}`),
};

export const addresses = {
  /** @param {string} film @param {number} shot @param {string} side @param {string} version */
  thumb: (film, shot, side, version) =>
    `${shotPath(film, shot)}/thumb.jpg?side=${side}&v=${version}`,
  /** @param {string} film @param {number} shot @param {number} frame @param {string} version */
  look: (film, shot, frame, version) =>
    `${shotPath(film, shot)}/look.jpg?frame=${frame}&v=${version}`,
  /** @param {string} film @param {number} shot @param {number} frame @param {string} side
   *  @param {string} key @param {"jpg"|"png"} kind */
  frame: (film, shot, frame, side, key, kind) =>
    `${shotPath(film, shot)}/frames/${frame}.${kind}?side=${side}` +
    (side === "after" && key ? `&key=${key}` : ""),
  /** @param {string} film @param {number} shot @param {string} key */
  clip: (film, shot, key) => `${shotPath(film, shot)}/clip.mp4?key=${key}`,
  /** @param {string} film @param {number} shot @param {number} frame @param {string} key */
  sure: (film, shot, frame, key) => `${shotPath(film, shot)}/sure/${frame}.png?key=${key}`,
  /** @param {string} film @param {number} shot @param {number} frame */
  damage: (film, shot, frame) => `${shotPath(film, shot)}/damage/${frame}.png`,
  /** @param {string} film */
  output: (film) => `${filmPath(film)}/output`,
  /** @param {string} film */
  script: (film) => `${filmPath(film)}/script`,
};

/**
 * Sends a file. XMLHttpRequest, because fetch does not say how far an upload is.
 * @param {string} path
 * @param {Blob} file
 * @param {(done: number, total: number) => void} progress
 * @returns {{answer: Promise<any>, cancel: () => void}}
 */
function send(path, file, progress) {
  const request = new XMLHttpRequest();
  const answer = new Promise((resolve, reject) => {
    request.open("PUT", path);
    request.setRequestHeader("X-Vidcolor", "1");
    request.upload.onprogress = (event) => progress(event.loaded, event.total);
    request.onerror = () => reject(new ServerError("The upload broke off. Try it again.", 0));
    request.onabort = () => reject(new ServerError("The upload was canceled.", -1));
    request.onload = () => {
      try {
        resolve(read(request.status, request.responseText));
      } catch (error) {
        reject(error);
      }
    };
    request.send(file);
  });
  return { answer, cancel: () => request.abort() };
}

/** @param {File} file @param {(done: number, total: number) => void} progress */
export const sendFilm = (file, progress) =>
  send(`/api/uploads?${new URLSearchParams({ name: file.name })}`, file, progress);

/**
 * @param {string} film @param {File} file @param {number|null} shot @param {number|null} frame
 * @param {(done: number, total: number) => void} progress
 */
export function sendPicture(film, file, shot, frame, progress) {
  const words = new URLSearchParams({ name: file.name });
  if (shot !== null) words.set("shot", String(shot));
  if (frame !== null) words.set("frame", String(frame));
  return send(`${filmPath(film)}/references?${words}`, file, progress);
}

/**
 * Hears what the server tells. A stream that broke is opened again until it answers.
 *
 * Browsers open six connections to one server and each stream holds one, so only tabs that are
 * seen listen; who is shown again is told to catch up.
 * @param {(event: any) => void} hear
 * @param {(there: boolean) => void} connected
 */
export function listen(hear, connected) {
  let wait = 0;
  /** @type {EventSource|null} */
  let stream = null;
  const close = () => {
    clearTimeout(wait);
    stream?.close();
    stream = null;
  };
  const open = () => {
    close();
    if (document.hidden) return;
    stream = new EventSource("/api/events");
    stream.onopen = () => connected(true);
    stream.onmessage = (event) => hear(JSON.parse(event.data));
    stream.onerror = () => {
      close();
      connected(false);
      wait = window.setTimeout(open, AGAIN_MS);
    };
  };
  document.addEventListener("visibilitychange", open);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
}
