// Which tasks are stuck: asked now and then, and when a sweep has found some.

import { checkStuck } from "./actions.js";
import { on, store } from "./store.js";

const EVERY_MS = 60000;

/** Ask for as long as the page is open and somebody looks at it. */
export function watchStuck() {
  let found = null;
  const check = () => {
    if (document.hidden || store.connection !== "live") return;
    checkStuck().catch(() => {}); // asked again soon; the connection's own state is shown
  };
  setInterval(check, EVERY_MS);
  on("connection", check);
  on("overview", () => {
    if (store.overview.stuck === found) return;
    found = store.overview.stuck;
    check();
  });
}
