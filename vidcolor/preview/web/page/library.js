// @ts-check
/** Choosing a film: those that the command named, those that were sent, and new ones. */

import { sendFilm } from "./api.js";
import { byId, bytes, fillList, h, icon, row, write } from "./dom.js";
import { sendPictures } from "./panel-pictures.js";
import { fail, forgetJob, openFilm, showJob } from "./session.js";
import { on, state, update } from "./state.js";
import { complain } from "./toast.js";

let number = 0;

export function startLibrary() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("library"));
  const input = /** @type {HTMLInputElement} */ (byId("film-file"));
  const list = byId("films");
  const welcome = byId("welcome-films");
  byId("open-film").addEventListener("click", () => dialog.showModal());
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    input.value = "";
    if (file) void upload(file);
  });
  on(["server", "filmId"], () => {
    const films = state.server?.films ?? [];
    fillList(list, films, () => filmRow(dialog, "film"));
    fillList(welcome, films, () => filmRow(dialog, "welcome-film"));
    welcome.hidden = !films.length;
    byId("no-films").hidden = films.length > 0;
    const most = state.server?.limits.upload_bytes;
    write(
      byId("upload-limit"),
      most ? `Up to ${bytes(most)}. It stays on this machine.` : "It stays on this machine.",
    );
  });
  on(["filmId", "film", "opening"], () => {
    const welcome = byId("welcome");
    welcome.hidden = Boolean(state.film) || state.opening;
    byId("opening").hidden = !state.opening;
    byId("app").classList.toggle("no-film", !state.film);
  });
  startDrop();
}

/** @param {HTMLDialogElement} dialog @param {string} testid */
function filmRow(dialog, testid) {
  let id = "";
  const name = h("strong", {});
  const about = h("span", { class: "faint" });
  const button = h(
    "button",
    {
      type: "button",
      class: "film",
      "data-testid": testid,
      onclick: () => {
        dialog.close();
        if (id !== state.filmId) void openFilm(id, 0, 0, "color");
      },
    },
    icon("film"),
    h("span", { class: "grow stack" }, name, about),
    icon("forth"),
  );
  return row(
    h("li", {}, button),
    (/** @type {{id: string, name: string, uploaded: boolean, open: boolean}} */ film) => {
      id = film.id;
      write(name, film.name);
      const here = film.id === state.filmId;
      write(
        about,
        [
          here ? "shown now" : film.open ? "open" : "",
          film.uploaded ? "sent from a browser" : "on this machine",
        ]
          .filter(Boolean)
          .join(" · "),
      );
      button.setAttribute("aria-current", String(here));
    },
  );
}

/** @param {File} file */
async function upload(file) {
  const most = state.server?.limits.upload_bytes ?? Infinity;
  if (file.size > most)
    return complain(
      `${file.name} has ${bytes(file.size)}; this server takes ${bytes(most)}. ` +
        `Start it with the film's path instead: vidcolor preview FILM --serve.`,
    );
  /** @type {HTMLDialogElement} */ (byId("library")).close();
  const id = `film-${++number}`;
  const tell = (/** @type {number} */ done, /** @type {number} */ total) =>
    showJob({
      id,
      kind: "upload",
      film: null,
      shot: null,
      title: `Sending ${file.name}`,
      state: "running",
      done,
      total,
      started: null,
      message: "",
      result: null,
      local: sending.cancel,
    });
  update({ opening: !state.film });
  const sending = sendFilm(file, tell);
  tell(0, file.size);
  try {
    const { id: film } = await sending.answer;
    forgetJob(id);
    await openFilm(film, 0, 0, "color");
  } catch (error) {
    forgetJob(id);
    update({ opening: false });
    fail(error);
  }
}

/** Anything may be dropped anywhere: films are opened, pictures become references. */
function startDrop() {
  let depth = 0;
  const veil = byId("veil");
  const holdsFiles = (/** @type {DragEvent} */ event) =>
    event.dataTransfer?.types.includes("Files");
  const show = () => (veil.hidden = depth === 0);
  addEventListener("dragenter", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    depth += 1;
    show();
  });
  addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  addEventListener("dragleave", (event) => {
    if (!holdsFiles(event)) return;
    depth = Math.max(0, depth - 1);
    show();
  });
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    depth = 0;
    show();
    take([...(event.dataTransfer?.files ?? [])]);
  });
}

/** @param {File[]} files */
function take(files) {
  const pictures = files.filter((file) => file.type.startsWith("image/"));
  const films = files.filter((file) => !file.type.startsWith("image/"));
  if (films.length > 1) complain("One film at a time: drop the others when this one is open.");
  if (films.length) return void upload(films[0]);
  if (!pictures.length) return;
  if (!state.film?.ready)
    return complain("A picture shows what color things have: open a film first, then drop it.");
  update({ panel: "pictures", tool: "look" });
  sendPictures(pictures);
}
