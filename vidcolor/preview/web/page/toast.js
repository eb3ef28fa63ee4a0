// @ts-check
/** Sentences about what went wrong; they stay until somebody has read them. */

import { byId, h, iconButton } from "./dom.js";

const MOST = 3;

/** @param {string} text */
export function complain(text) {
  const shelf = byId("toasts");
  for (const old of shelf.children) if (old.querySelector("p")?.textContent === text) old.remove();
  while (shelf.children.length >= MOST) shelf.firstElementChild?.remove();
  const toast = h(
    "div",
    { class: "toast", role: "alert", "data-testid": "error" },
    h("p", {}, text),
  );
  toast.append(iconButton("close", "Close", () => toast.remove()));
  shelf.append(toast);
}
