// @ts-check
/** Changes of the color script: one after the other, saved at once, undone and done again. */

import { ServerError, api } from "./api.js";
import { say } from "./dom.js";
import { fail, lose, previewSoon, refresh, untilBack } from "./session.js";
import { state, update } from "./state.js";

/** Edits run one after the other, because each changes ids and the revision that the next names. */
let line = Promise.resolve();

/**
 * Saves changes. They are asked for when it is their turn, so that they see what came before.
 * @param {() => object|object[]|null} wish
 * @returns {Promise<boolean>} whether they are saved
 */
export function edit(wish) {
  const run = line.then(() => save(wish));
  line = run.then(
    () => undefined,
    () => undefined,
  );
  return run;
}

/** @param {() => object|object[]|null} wish */
async function save(wish) {
  const asked = wish();
  if (!asked || !state.film) return false;
  const edits = Array.isArray(asked) ? asked : [asked];
  update({ saving: "saving" });
  try {
    await send(edits);
    await refresh();
    update({ saving: "saved" });
    previewSoon();
    return true;
  } catch (error) {
    update({ saving: "failed" });
    await refresh();
    fail(error);
    return false;
  }
}

const AGAIN = 2; // tries after another tab was first

/** @param {object[]} edits */
async function send(edits) {
  const film = state.filmId;
  for (let tries = 0; ;) {
    try {
      return await api.edit(film, state.film?.revision ?? 0, edits);
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      if (error.status === 0) {
        // Nothing is lost with the server: what was said waits here until it answers again.
        lose();
        update({ saving: "failed" });
        await untilBack();
        if (state.filmId !== film) throw error;
        update({ saving: "saving" });
      } else if (error.status === 409 && tries++ < AGAIN) {
        // What we name is named by content, so saying it once more is safe.
        await refresh();
      } else throw error;
    }
  }
}

/** @param {"undo"|"redo"} which */
export async function step(which) {
  const film = state.film;
  if (!film || !(which === "undo" ? film.can_undo : film.can_redo)) return;
  update({ saving: "saving" });
  try {
    await api[which](film.id);
    await refresh();
    say(which === "undo" ? "Undone." : "Done again.");
    previewSoon();
    update({ saving: "saved" });
  } catch (error) {
    update({ saving: "failed" });
    fail(error);
  }
}
