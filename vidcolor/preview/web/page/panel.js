// @ts-check
/** The panels beside the picture, one at a time. */

import { byId, h, icon } from "./dom.js";
import { makeColorPanel } from "./panel-color.js";
import { makeNotesPanel } from "./panel-notes.js";
import { makeObjectsPanel } from "./panel-objects.js";
import { makePicturesPanel } from "./panel-pictures.js";
import { makeSettingsPanel } from "./panel-settings.js";
import { on, state, update } from "./state.js";

const PANELS = /** @type {[string, string, string, () => HTMLElement][]} */ ([
  ["color", "Color", "color", makeColorPanel],
  ["objects", "Objects", "objects", makeObjectsPanel],
  ["pictures", "Pictures", "pictures", makePicturesPanel],
  ["settings", "Settings", "sliders", makeSettingsPanel],
  ["notes", "Notes", "notes", makeNotesPanel],
]);

export function startPanels() {
  const tabs = byId("tabs");
  const body = byId("panels");
  for (const [id, title, picture, make] of PANELS) {
    tabs.append(
      h(
        "button",
        {
          type: "button",
          role: "tab",
          id: `tab-${id}`,
          "aria-controls": `panel-${id}`,
          "data-testid": `tab-${id}`,
          onclick: () => open(id),
        },
        icon(picture),
        h("span", {}, title),
      ),
    );
    body.append(
      h(
        "section",
        {
          role: "tabpanel",
          id: `panel-${id}`,
          "aria-labelledby": `tab-${id}`,
          tabindex: "0",
          "data-testid": `panel-${id}`,
          hidden: true,
        },
        make(),
      ),
    );
  }
  tabs.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const now = PANELS.findIndex(([id]) => id === state.panel);
    const [next] = PANELS[(now + step + PANELS.length) % PANELS.length];
    open(next);
    byId(`tab-${next}`).focus();
  });
  on(["panel"], () => {
    for (const [id] of PANELS) {
      const chosen = id === state.panel;
      byId(`panel-${id}`).hidden = !chosen;
      byId(`tab-${id}`).setAttribute("aria-selected", String(chosen));
      byId(`tab-${id}`).tabIndex = chosen ? 0 : -1;
    }
    body.scrollTop = 0;
  });
}

/** A tool belongs to its panel: elsewhere a hand on the picture must not say colors.
 * @param {string} id */
function open(id) {
  update(id === "color" ? { panel: id } : { panel: id, tool: "look" });
}
