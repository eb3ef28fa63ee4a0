// @ts-check
/** Coloring the whole film: what it will be called, what is left to do, how far it is. */

import { ServerError, addresses, api } from "./api.js";
import { byId, bytes, write } from "./dom.js";
import { part, percent, progressWords } from "./jobs.js";
import { LIVE, cancelJob, fail } from "./session.js";
import { on, state } from "./state.js";

/** @typedef {import("./types.js").Job} Job */


const dialog = /** @type {HTMLDialogElement} */ (byId("render"));
const name = /** @type {HTMLInputElement} */ (byId("render-name"));
const replace = /** @type {HTMLInputElement} */ (byId("render-overwrite"));

/** The film's render, the newest one. @returns {Job|null} */
function renderJob() {
  return state.jobs.findLast((job) => job.kind === "render" && job.film === state.filmId) ?? null;
}

export function startRender() {
  byId("render-open").addEventListener("click", open);
  byId("render-start").addEventListener("click", () => void start());
  byId("render-cancel").addEventListener("click", () => {
    const job = renderJob();
    if (job) void cancelJob(job);
  });
  name.addEventListener("input", fillPlan);
  name.addEventListener("keydown", (event) => {
    if (event.key === "Enter") void start();
  });
  on(["film", "jobs"], () => {
    fillButton();
    if (dialog.open) fillDialog();
  });
}

function open() {
  if (!state.film) return;
  name.value = state.film.output.name;
  replace.checked = false;
  say("");
  fillDialog();
  dialog.showModal();
}

function fillButton() {
  const button = /** @type {HTMLButtonElement} */ (byId("render-open"));
  const job = renderJob();
  const live = job && LIVE.includes(job.state);
  button.disabled = !state.film?.ready;
  write(
    byId("render-words"),
    !live ? "Render" : job.state === "queued" ? "Rendering soon" : `Rendering ${percent(job)} %`,
  );
  byId("render-part").style.transform = `scaleX(${live ? part(job) : 0})`;
  button.dataset.state = live
    ? "running"
    : state.film?.output.exists && state.film.output.up_to_date
      ? "done"
      : "idle";
}

function fillDialog() {
  const film = state.film;
  if (!film) return;
  const job = renderJob();
  const live = Boolean(job && LIVE.includes(job.state));
  byId("render-form").hidden = live;
  byId("render-progress").hidden = !live;
  if (job && live) {
    write(
      byId("render-state"),
      `${job.title}${job.state === "queued" ? ", waits for its turn" : ""}`,
    );
    write(byId("render-part-words"), progressWords(job));
    const bar = byId("render-bar");
    bar.setAttribute("aria-valuenow", String(percent(job)));
    /** @type {HTMLElement} */ (bar.firstElementChild).style.transform = `scaleX(${part(job)})`;
  }
  if (job?.state === "failed") say(job.message);
  else if (job?.state === "canceled")
    say(
      "The render was canceled. Shots that were finished are kept; " +
        "starting again goes on from there.",
    );
  const { output } = film;
  byId("render-done").hidden = !output.exists || live;
  if (output.exists) {
    write(
      byId("render-where"),
      `${output.name} lies beside the film (${bytes(output.bytes)}). ` +
        (output.up_to_date
          ? "It is as the script says."
          : "The script has changed since: render again to have it all."),
    );
    const link = /** @type {HTMLAnchorElement} */ (byId("download"));
    link.href = addresses.output(film.id);
    link.setAttribute("download", output.name);
  }
  fillPlan();
}

function fillPlan() {
  const film = state.film;
  if (!film) return;
  const there = film.output.exists && name.value.trim() === film.output.name;
  byId("render-overwrite-line").hidden = !there;
  const frames = film.shots.reduce((sum, shot) => sum + shot.frames, 0);
  const ready = film.shots.filter((shot) => shot.state === "ready");
  const rest = frames - ready.reduce((sum, shot) => sum + shot.frames, 0);
  const shots = film.shots.length;
  write(
    byId("render-plan"),
    `${shots} ${shots === 1 ? "shot" : "shots"}, ${frames.toLocaleString("en-US")} frames. ` +
      (!rest
        ? "Every shot has been colored here; what you saw is what you get."
        : ready.length
          ? `${ready.length} are colored already; the others are colored now, ` +
            `exactly as ${film.script_name} says.`
          : `All of it is colored exactly as ${film.script_name} says.`) +
      " You can go on working meanwhile, or close this page: it goes on.",
  );
}

/** @param {string} text */
function say(text) {
  const place = byId("render-problem");
  place.hidden = !text;
  write(place, text);
}

async function start() {
  const film = state.film;
  if (!film) return;
  const wish = {
    name: name.value.trim() || film.output.name,
    overwrite: replace.checked && !byId("render-overwrite-line").hidden,
  };
  say("");
  try {
    await api.render(film.id, wish);
  } catch (error) {
    if (error instanceof ServerError && error.status > 0) {
      say(error.message);
      // A name that only the server knew to be taken: now they can say that it may be replaced.
      if (error.status === 409 || /exist|overwrite|there/i.test(error.message))
        byId("render-overwrite-line").hidden = false;
    } else fail(error);
  }
}
