// The live connection: one event stream that comes back by itself, and says when it is away.

import { read } from "./api.js";
import {
  store,
  take,
  takeBatch,
  takeManyTasks,
  takeProgress,
  takeSnapshot,
  takeTask,
} from "./store.js";
import { Declined } from "./token.js";

const AGAIN_MS = 2000;
const DECLINED_MS = 60000; // somebody who gave no token is not asked for it all the time

let source = null;
let again = 0;

const TAKE = {
  snapshot: takeSnapshot,
  task: takeTask,
  tasks: takeManyTasks,
  batch: takeBatch,
  progress: takeProgress,
  servers: (servers) => take("servers", servers),
  overview: (overview) => take("overview", overview),
};

/** Listen, for as long as the page is open. */
export function listen() {
  source?.close();
  clearTimeout(again);
  source = new EventSource("/api/events");
  for (const [kind, taken] of Object.entries(TAKE)) {
    source.addEventListener(kind, (event) => {
      taken(JSON.parse(event.data));
      connected("live");
    });
  }
  source.onopen = () => connected("live");
  source.onerror = lost;
}

function connected(how) {
  if (store.connection !== how) take("connection", how);
}

/** The browser tries again by itself unless it was turned away; then we ask why, and try again. */
function lost() {
  connected("offline");
  if (source.readyState !== EventSource.CLOSED) return;
  clearTimeout(again);
  again = setTimeout(comeBack, AGAIN_MS);
}

async function comeBack() {
  try {
    await read("/api/servers"); // asks for the token where reading needs it
  } catch (error) {
    if (error instanceof Declined) {
      again = setTimeout(comeBack, DECLINED_MS);
      return;
    }
  }
  listen();
}

window.addEventListener("online", listen);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && store.connection !== "live" && source?.readyState === EventSource.CLOSED)
    listen();
});
