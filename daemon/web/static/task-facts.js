// What is known of a task: what keeps it, the other runs of its row, its parameters.

import { h, icon } from "./dom.js";
import { exactMoment } from "./format.js";
import { retold } from "./retold.js";
import { toTask } from "./route.js";
import { store } from "./store.js";
import { t, tr } from "./words.js";

export const section = (title, ...content) =>
  h("section", { class: "card" }, h("h2", {}, title), content);

export function trouble(task) {
  const stuck = store.stuck.get(task.task_id);
  const parts = [];
  if (stuck)
    parts.push(
      h(
        "div",
        { class: "warning" },
        icon("failed"),
        h("div", {}, h("strong", {}, t("stuck.badge")), h("p", {}, stuck)),
      ),
    );
  if (task.blocked_by)
    parts.push(
      h(
        "div",
        { class: "warning" },
        icon("failed"),
        h("div", {}, h("strong", {}, t("task.blocked")), h("p", {}, retold(task.blocked_by))),
      ),
    );
  if (task.error_message) {
    const kind = task.error_kind ?? "unknown";
    parts.push(
      h(
        "div",
        { class: task.stage === "failed" ? "trouble" : "warning" },
        icon("failed"),
        h(
          "div",
          {},
          h("strong", {}, tr(`kind.${kind}`, kind)),
          h("p", { class: "error-text" }, retold(task.error_message)),
          h("p", { class: "muted" }, tr(`kindhint.${kind}`)),
        ),
      ),
    );
  }
  return parts;
}

/** The runs of this row and workflow type, both ways. */
export function family(task) {
  const lines = [];
  if (task.retried_from)
    lines.push(
      h(
        "p",
        {},
        t("task.retry_of", { n: task.retry_number }),
        h("a", { href: toTask(task.retried_from) }, task.retried_from),
      ),
    );
  if (task.retry_count) lines.push(h("p", {}, t("task.retried", { n: task.retry_count })));
  if (!lines.length) return null;
  return section(
    t("task.family"),
    lines,
    h(
      "ol",
      { class: "family" },
      task.family.map((each) =>
        h(
          "li",
          {},
          each === task.task_id
            ? h("span", { "aria-current": "true" }, each, ` ${t("task.this")}`)
            : h("a", { href: toTask(each) }, each),
        ),
      ),
    ),
  );
}

/** A value; of an uploaded picture's name, its hash, the beginning is enough to tell it apart. */
const parameter = (value) => {
  const short = value.replace(/[0-9a-f]{64}/g, (hash) => `${hash.slice(0, 8)}…`);
  return h("dd", short === value ? {} : { title: value }, short);
};

export function parameters(task) {
  const rows = [
    ...Object.entries(task.parameters),
    ...Object.entries(task.row).filter(([name]) => !(name in task.parameters)),
    [t("task.attempt"), task.attempt],
    [t("task.created"), exactMoment(task.created_at)],
    [t("task.started"), exactMoment(task.started_at)],
    [t("task.finished"), exactMoment(task.finished_at)],
    [t("task.prompt_id"), task.comfyui_task_id],
  ].filter(([, value]) => value !== null && value !== "" && value !== undefined);
  return section(
    t("task.parameters"),
    h(
      "dl",
      { class: "pairs long" },
      rows.map(([name, value]) =>
        h(
          "div",
          {},
          h("dt", {}, tr(`column.${name}`, name)),
          parameter(typeof value === "object" ? JSON.stringify(value) : String(value)),
        ),
      ),
    ),
  );
}
