// @ts-check
/** What runs in the background: how far, how long still, and a way to stop it. */

import { byId, fillList, h, iconButton, row, say, write } from "./dom.js";
import { LIVE, QUIET, cancelJob, forgetJob } from "./session.js";
import { on, state } from "./state.js";

/** @typedef {import("./types.js").Job} Job */

const STEPS = 4; // progress is said aloud at every fourth
const SURE_AFTER_S = 3; // an estimate before that is a guess

let open = false;
/** @type {Map<string, number>} */
const told = new Map();
const dismissed = new Set();

export function startJobs() {
  const list = byId("job-list");
  const toggle = byId("jobs-toggle");
  toggle.addEventListener("click", () => {
    open = !open;
    fill();
  });
  const fill = () => {
    // What is done and went well needs no place; what failed stays until it was read.
    const shown = state.jobs
      .filter((job) => !QUIET.includes(job.kind) && job.lane !== "idle")
      .filter(
        (job) => LIVE.includes(job.state) || (job.state === "failed" && !dismissed.has(job.id)),
      );
    const live = shown.filter((job) => LIVE.includes(job.state));
    byId("jobs").hidden = !shown.length;
    byId("jobs").classList.toggle("open", open);
    toggle.setAttribute("aria-expanded", String(open));
    const first = live.find((job) => job.state === "running") ?? live[0] ?? shown[0];
    write(
      byId("jobs-title"),
      !first
        ? ""
        : live.length > 1
          ? `${first.title}, and ${live.length - 1} more`
          : first.state === "failed"
            ? `${first.title}: failed`
            : first.title,
    );
    write(
      byId("jobs-part"),
      first && first.total && first.state === "running" ? `${percent(first)} %` : "",
    );
    /** @type {HTMLElement} */ (byId("jobs-bar")).style.transform =
      `scaleX(${first ? part(first) : 0})`;
    byId("jobs").classList.toggle(
      "unsure",
      Boolean(first && first.state === "running" && !first.total),
    );
    list.hidden = !open;
    fillList(list, shown, jobRow);
    for (const job of live) tell(job);
  };
  on(["jobs"], fill);
}

/** @param {Job} job */
export const part = (job) => (job.total ? Math.min(1, job.done / job.total) : 0);
/** @param {Job} job */
export const percent = (job) => Math.floor(part(job) * 100);

/** @param {Job} job */
function tell(job) {
  const step = Math.floor(part(job) * STEPS);
  if (job.total && step > (told.get(job.id) ?? 0) && step < STEPS)
    say(`${job.title}: ${percent(job)} percent.`);
  told.set(job.id, step);
}

/** What stands beside the bar. @param {Job} job */
export function progressWords(job) {
  if (job.state === "queued") return "waits for its turn";
  if (job.state === "failed") return job.message || "failed";
  const words = [job.message, job.total ? `${percent(job)} %` : ""];
  const passed = job.started ? Date.now() / 1000 - job.started : 0;
  if (job.total && job.done && passed > SURE_AFTER_S)
    words.push(left((passed * (job.total - job.done)) / job.done));
  return words.filter(Boolean).join(" · ");
}

/** @param {number} seconds */
function left(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s left`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min left`;
  return `${(seconds / 3600).toFixed(1)} h left`;
}

function jobRow() {
  /** @type {Job} */
  let job;
  const title = h("strong", {});
  const words = h("span", { class: "faint" });
  const bar = h(
    "span",
    { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 },
    h("i", {}),
  );
  const stop = iconButton(
    "close",
    "Cancel",
    () => {
      if (!LIVE.includes(job.state)) {
        dismissed.add(job.id);
        return forgetJob(job.id);
      }
      void cancelJob(job);
    },
    { testid: "job-cancel" },
  );
  return row(
    h(
      "li",
      { "data-testid": "job" },
      h("div", { class: "line" }, h("div", { class: "grow stack" }, title, words), stop),
      bar,
    ),
    (/** @type {Job} */ next) => {
      job = next;
      const live = LIVE.includes(job.state);
      write(title, job.title);
      write(words, progressWords(job));
      stop.setAttribute("aria-label", live ? `Cancel: ${job.title}` : `Close: ${job.title}`);
      stop.title = live ? "Cancel" : "Close";
      bar.hidden = !live;
      bar.setAttribute("aria-label", job.title);
      if (job.total) bar.setAttribute("aria-valuenow", String(percent(job)));
      else bar.removeAttribute("aria-valuenow");
      bar.classList.toggle("unsure", !job.total && job.state === "running");
      /** @type {HTMLElement} */ (bar.firstElementChild).style.transform = `scaleX(${part(job)})`;
      bar.parentElement?.classList.toggle("failed", job.state === "failed");
    },
  );
}
