// The head of a task's page: its name, how it stands, and what can be done with it.

import * as actions from "./actions.js";
import { h, icon, keyed, setText } from "./dom.js";
import { rowName, span } from "./format.js";
import { toBatch } from "./route.js";
import { groupOf, pill } from "./status.js";
import { store } from "./store.js";
import { t } from "./words.js";

const OPEN = new Set(["waiting", "submitting", "queued", "running"]);
const ENDED_BADLY = new Set(["failed", "cancelled"]);
const BUTTONS = {
  recover: ["retry", actions.recoverStuck, true],
  retry: ["retry", actions.retryTask, true],
  cancel: ["cross", actions.cancelTask, false],
};

/** What stays in place stays the same node: a button under a finger must not go. */
export function taskHead() {
  const batch = h("span", {});
  const back = h("a", { class: "back" }, icon("left"), batch);
  const name = h("h1", {});
  const status = pill();
  const stuck = h("span", { class: "badge stuck" }, icon("failed"), t("stuck.badge"));
  const controls = h("fieldset", { class: "actions", "aria-label": t("actions.label") });
  const facts = h("p", { class: "lead" });
  let current = null;
  const showButtons = keyed(
    controls,
    (action) => action,
    (action) => ({ node: button(action, controls, () => current), update() {} }),
  );
  const node = h(
    "div",
    { class: "page-head" },
    back,
    h("div", { class: "title-line" }, name, status.node, stuck, controls),
    facts,
  );
  return {
    node,
    update(task) {
      current = task;
      back.href = toBatch(task.batch_id);
      setText(batch, task.batch_id);
      setText(name, rowName(task));
      status.update(groupOf(task), t(`stage.${task.stage}`));
      stuck.hidden = !store.stuck.has(task.task_id);
      showButtons(offered(task));
      setText(facts, factsOf(task).filter(Boolean).join(" · "));
    },
  };
}

function offered(task) {
  return [
    store.stuck.has(task.task_id) && "recover",
    ENDED_BADLY.has(task.stage) && "retry",
    OPEN.has(task.stage) && "cancel",
  ].filter(Boolean);
}

function button(action, controls, taskNow) {
  const [symbol, run, primary] = BUTTONS[action];
  return h(
    "button",
    {
      class: `button ${primary ? "primary" : ""}`,
      type: "button",
      onclick: () => actions.carryOut(controls, () => run(taskNow())),
    },
    icon(symbol),
    t(`action.${action}`),
  );
}

function factsOf(task) {
  return [
    task.workflow_type,
    `#${task.row_number}`,
    task.server,
    task.gpu_seconds === null ? null : t("task.gpu", { span: span(task.gpu_seconds) }),
    task.task_id,
  ];
}
