// How things stand, as colour and word: pills, dots and the bar of a batch.

import { h, setAttribute, setText } from "./dom.js";
import { count } from "./format.js";
import { t } from "./words.js";

const PROCESSING = new Set(["submitting", "queued", "running", "collecting"]);

/** The group a task is counted and coloured in. */
export function groupOf(task) {
  if (PROCESSING.has(task.stage)) return "processing";
  if (task.stage === "waiting") return task.blocked_by ? "blocked" : "pending";
  return { done: "completed", failed: "failed", cancelled: "cancelled" }[task.stage];
}

/** Whether all rows of a batch are in the archive: none is accepted without rows. */
export const isArchived = ({ statistics }) => statistics.rows === 0;

export const GROUPS = ["completed", "processing", "pending", "blocked", "failed", "cancelled"];

export function pill() {
  const node = h("span", { class: "pill" });
  return {
    node,
    update(group, words) {
      node.dataset.status = group;
      setText(node, words);
    },
  };
}

export function stagePill(task) {
  const part = pill();
  part.update(groupOf(task), t(`stage.${task.stage}`));
  return part.node;
}

/** The bar of a batch: one segment for each status, read out as a sentence. */
export function statusBar() {
  const segments = Object.fromEntries(
    GROUPS.map((group) => [group, h("span", { class: "segment", "data-status": group })]),
  );
  const node = h("div", { class: "status-bar", role: "img" }, Object.values(segments));
  return {
    node,
    update(statistics) {
      for (const group of GROUPS) {
        const amount = statistics[group];
        segments[group].style.flexGrow = amount;
        segments[group].hidden = amount === 0;
      }
      setAttribute(node, "aria-label", countsSentence(statistics));
    },
  };
}

export function countsSentence(statistics) {
  const told = GROUPS.filter((group) => statistics[group]).map(
    (group) => `${t(`group.${group}`)} ${count(statistics[group])}`,
  );
  return told.length ? told.join(t("list.comma")) : t("batch.empty");
}

/** The counts beside a bar, those that are not zero. */
export function countsLine() {
  const parts = Object.fromEntries(
    GROUPS.map((group) => {
      const number = h("b", {});
      return [
        group,
        {
          number,
          node: h(
            "span",
            { class: "count", "data-status": group },
            h("span", { class: "dot" }),
            number,
            ` ${t(`group.${group}`)}`,
          ),
        },
      ];
    }),
  );
  const node = h(
    "div",
    { class: "counts" },
    Object.values(parts).map((part) => part.node),
  );
  return {
    node,
    update(statistics) {
      for (const group of GROUPS) {
        parts[group].node.hidden = statistics[group] === 0;
        setText(parts[group].number, count(statistics[group]));
      }
    },
  };
}

/** A thin bar of progress between 0 and 1, or of unknown length for null. */
export function meter(label) {
  const fillBar = h("span", { class: "meter-fill" });
  const node = h(
    "div",
    {
      class: "meter",
      role: "progressbar",
      "aria-label": label,
      "aria-valuemin": "0",
      "aria-valuemax": "100",
    },
    fillBar,
  );
  return {
    node,
    update(ratio) {
      const known = ratio !== null && Number.isFinite(ratio);
      node.classList.toggle("unknown", !known);
      setAttribute(node, "aria-valuenow", known ? Math.round(ratio * 100) : null);
      fillBar.style.transform = `scaleX(${known ? Math.min(1, ratio) : 1})`;
    },
  };
}

export const ratioOf = (how) => (how && how.maximum ? how.value / how.maximum : null);
