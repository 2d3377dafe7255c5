// What became of a change: a line at the bottom, read out by screen readers.

import { closeButton } from "./close-button.js";
import { h, icon, setAttribute } from "./dom.js";

const STAYS_MS = 6000;
let region = null;

/** Make the place of the notices. */
export function noticeRegion() {
  region = h("div", { class: "notices", role: "status", "aria-live": "polite" });
  return region;
}

export function tellDone(message) {
  const notice = show("done", message, "");
  setTimeout(() => notice.remove(), STAYS_MS);
}

/** Tell a problem with its hint; it stays until somebody has read it. */
export function tellProblem(error) {
  show("problem", error.message, error.hint ?? "");
}

function show(kind, message, hint) {
  const notice = h(
    "div",
    { class: `notice ${kind}` },
    icon(kind === "done" ? "check" : "failed"),
    h("div", {}, h("p", {}, message), hint ? h("p", { class: "muted" }, hint) : null),
    closeButton(() => notice.remove()),
  );
  setAttribute(notice, "role", kind === "problem" ? "alert" : null);
  region.append(notice);
  while (region.children.length > 4) region.firstChild.remove();
  return notice;
}
