// A batch in a list: its name, its bar, its counts, its buttons.

import { batchButtons } from "./batch-actions.js";
import { h, setText } from "./dom.js";
import { count, eta, exactMoment, moment } from "./format.js";
import { toBatch } from "./route.js";
import { countsLine, isArchived, pill, statusBar } from "./status.js";
import { t, tr } from "./words.js";

export function batchCard() {
  const name = h("a", {});
  const status = pill();
  const facts = h("span", { class: "muted" });
  const when = h("time", { class: "muted num" });
  const held = h("p", { class: "held", hidden: true });
  const bar = statusBar();
  const counts = countsLine();
  const buttons = batchButtons();
  const node = h(
    "article",
    { class: "card batch" },
    h(
      "header",
      {},
      h("div", { class: "batch-title" }, h("h3", {}, name), status.node, facts),
      when,
    ),
    bar.node,
    held,
    h("footer", {}, counts.node, buttons.node),
  );
  return {
    node,
    update(batch) {
      name.setAttribute("href", toBatch(batch.batch_id));
      setText(name, batch.name);
      status.update(batchGroup(batch), t(`batch.${batch.status}`));
      setText(facts, batchFacts(batch));
      when.setAttribute("datetime", batch.created_at);
      when.setAttribute("title", exactMoment(batch.created_at));
      setText(when, moment(batch.created_at));
      held.hidden = !batch.held || batch.status !== "running";
      setText(held, heldSentence(batch));
      bar.node.hidden = isArchived(batch);
      bar.update(batch.statistics);
      counts.update(batch.statistics);
      buttons.update(batch);
    },
  };
}

/** The colour of its status; green only when nothing is left to mend. */
export const batchGroup = ({ status, statistics }) =>
  ({
    running: "processing",
    paused: "pending",
    stopped: "cancelled",
    failed: "failed",
    completed: statistics.completed === statistics.total ? "completed" : "blocked",
  })[status];

export const heldSentence = (batch) =>
  batch.held
    ? t("batch.held", { why: tr(`held.${batch.held}`, tr(`kind.${batch.held}`, batch.held)) })
    : "";

/** Rows, the stage of two-stage ones, and when they will be ready. */
export function batchFacts(batch) {
  const { statistics } = batch;
  if (isArchived(batch)) return t("batch.empty");
  const facts = [t("batch.rows", { n: count(statistics.rows) })];
  if (statistics.stages?.["2"]?.total) facts.push(t("batch.stage", { n: batch.stage }));
  if (batch.eta) facts.push(eta(batch.eta));
  return facts.join(" · ");
}
