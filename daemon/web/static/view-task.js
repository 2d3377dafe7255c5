// One task: what went in, what came out, what went wrong, what happened.

import * as actions from "./actions.js";
import { read } from "./api.js";
import { h, icon, fill } from "./dom.js";
import { rowName, span } from "./format.js";
import { toBatch } from "./route.js";
import { groupOf, meter, pill, ratioOf } from "./status.js";
import { on, onTask, store } from "./store.js";
import { storyList } from "./story.js";
import { family, parameters, section, trouble } from "./task-facts.js";
import { taskFiles } from "./task-files.js";
import { t } from "./words.js";

const LOOK_AGAIN_MS = 300;
const OPEN = new Set(["waiting", "submitting", "queued", "running"]);

export function taskView(root, { id }) {
  const leaving = new AbortController();
  const bar = meter(t("task.progress"));
  const node = h("p", { class: "muted" });
  const progress = h("div", { class: "task-progress", hidden: true }, node, bar.node);
  let task = null;
  let soon = 0;

  async function look() {
    const path = `/api/tasks/${encodeURIComponent(id)}`;
    const options = { signal: leaving.signal };
    try {
      const [found, told] = await Promise.all([
        read(path, options),
        read(`${path}/story`, options),
      ]);
      task = found;
      draw(told.story);
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(
        root,
        h(
          "div",
          { class: "page-head" },
          h("a", { class: "back", href: "#/batches" }, icon("left"), t("nav.batches")),
          h("h1", {}, error.message),
          h("p", { class: "lead" }, error.hint ?? ""),
        ),
      );
    }
  }

  function draw(story) {
    const scrolled = window.scrollY;
    fill(
      root,
      heading(task),
      progress,
      trouble(task),
      taskFiles(task),
      h(
        "div",
        { class: "columns" },
        h("div", {}, section(t("task.story"), storyList(story))),
        h("div", {}, family(task), parameters(task)),
      ),
    );
    showProgress();
    document.title = `${rowName(task)} – rowkeeper`;
    window.scrollTo(0, scrolled);
  }

  function showProgress() {
    const running = task?.stage === "running";
    const how = store.progress.get(id);
    progress.hidden = !running;
    if (!running) return;
    node.textContent = how?.node ? t("task.node", { node: how.node }) : t("stage.running");
    bar.update(ratioOf(how));
  }

  const later = () => {
    soon ||= setTimeout(() => {
      soon = 0;
      look();
    }, LOOK_AGAIN_MS);
  };
  const ends = [
    onTask(
      (changed) =>
        (changed === null ||
          changed.task_id === id ||
          task?.family.includes(changed.retried_from)) &&
        later(),
    ),
    on("progress", showProgress),
    on("stuck", () => task && later()),
  ];
  look();
  return () => {
    leaving.abort();
    clearTimeout(soon);
    for (const end of ends) end();
  };
}

function heading(task) {
  const status = pill();
  status.update(groupOf(task), t(`stage.${task.stage}`));
  const stuck = store.stuck.get(task.task_id);
  const controls = h("fieldset", { class: "actions", "aria-label": t("actions.label") });
  const button = (words, symbol, run, primary) =>
    h(
      "button",
      {
        class: `button ${primary ? "primary" : ""}`,
        type: "button",
        onclick: () => actions.carryOut(controls, () => run(task)),
      },
      icon(symbol),
      t(words),
    );
  if (stuck) controls.append(button("action.recover", "retry", actions.recoverStuck, true));
  if (task.stage === "failed" || task.stage === "cancelled")
    controls.append(button("action.retry", "retry", actions.retryTask, true));
  if (OPEN.has(task.stage)) controls.append(button("action.cancel", "cross", actions.cancelTask));
  const facts = [
    task.workflow_type,
    `#${task.row_number}`,
    task.server,
    task.gpu_seconds === null ? null : t("task.gpu", { span: span(task.gpu_seconds) }),
    task.task_id,
  ];
  return h(
    "div",
    { class: "page-head" },
    h("a", { class: "back", href: toBatch(task.batch_id) }, icon("left"), task.batch_id),
    h(
      "div",
      { class: "title-line" },
      h("h1", {}, rowName(task)),
      status.node,
      stuck ? h("span", { class: "badge stuck" }, icon("failed"), t("stuck.badge")) : null,
      controls,
    ),
    h("p", { class: "lead" }, facts.filter(Boolean).join(" · ")),
  );
}
