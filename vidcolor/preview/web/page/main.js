// @ts-check
/** Puts the page together. */

import { startJobs } from "./jobs.js";
import { startKeys } from "./keys.js";
import { startLibrary } from "./library.js";
import { startObjects } from "./objects.js";
import { startPanels } from "./panel.js";
import { startPlayback } from "./playback.js";
import { startPlayer } from "./player.js";
import { startRender } from "./render.js";
import { begin } from "./session.js";
import { recall } from "./state.js";
import { startStrip } from "./strip.js";
import { startTools } from "./tools.js";
import { startTopbar } from "./topbar.js";
import { startTransport } from "./transport.js";

recall();
startTopbar();
startObjects();
startPlayer();
startPlayback();
startTools();
startTransport();
startStrip();
startPanels();
startJobs();
startRender();
startLibrary();
startKeys();
void begin();
