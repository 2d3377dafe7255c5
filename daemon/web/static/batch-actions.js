// The buttons of a batch: those that its status allows, named as people name them.

import * as actions from "./actions.js";
import { h, icon } from "./dom.js";
import { isArchived } from "./status.js";
import { t } from "./words.js";

const BUTTONS = {
  pause: ["pause", actions.pauseBatch],
  resume: ["play", actions.resumeBatch],
  resume_failed: ["play", actions.resumeFromFailure],
  rerun: ["retry", actions.rerunBatch],
  stop: ["stop", actions.stopBatch],
  retry_failed: ["retry", actions.retryFailed],
};

/** The buttons for a status; the first is the one most people want then. */
function offered(batch) {
  if (isArchived(batch)) return [];
  const { status, statistics } = batch;
  const names =
    {
      running: ["pause", "stop"],
      paused: ["resume", "stop"],
      stopped: ["resume_failed", "rerun"],
      failed: ["resume_failed", "rerun"],
      completed: ["rerun"],
    }[status] ?? [];
  return statistics.failed ? [...names, "retry_failed"] : names;
}

export function batchButtons() {
  const node = h("fieldset", { class: "actions", "aria-label": t("actions.label") });
  let shown = "";
  return {
    node,
    update(batch) {
      const names = offered(batch);
      if (names.join() === shown) return;
      shown = names.join();
      node.replaceChildren(
        ...names.map((name, place) => button(name, place, batch.batch_id, node)),
      );
    },
  };
}

function button(name, place, batchId, controls) {
  const [symbol, run] = BUTTONS[name];
  const first = place === 0 && name.startsWith("resume");
  return h(
    "button",
    {
      class: `button ${first ? "primary" : ""}`,
      type: "button",
      onclick: () => actions.carryOut(controls, () => run(batchId)),
    },
    icon(symbol),
    t(`action.${name}`),
  );
}
