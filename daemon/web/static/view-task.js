// One task: what went in, what came out, what went wrong, what happened.

import * as actions from "./actions.js";
import { read } from "./api.js";
import { h, icon, fill } from "./dom.js";
import { bytes, exactMoment, isVideo, rowName, span } from "./format.js";
import { toBatch, toTask } from "./route.js";
import { groupOf, meter, pill, ratioOf } from "./status.js";
import { on, onTask, store } from "./store.js";
import { storyList } from "./story.js";
import { inputThumb, outputThumb, picture } from "./thumb.js";
import { inputItem, large, openViewer, outputItem } from "./viewer.js";
import { t, tr } from "./words.js";

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
      const [found, told] = await Promise.all([read(path, options), read(`${path}/story`, options)]);
      task = found;
      draw(told.story);
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(root, h("div", { class: "page-head" }, h("h1", {}, error.message), h("p", { class: "lead" }, error.hint ?? "")));
    }
  }

  function draw(story) {
    const scrolled = window.scrollY;
    fill(root, heading(task), progress, trouble(task), files(task),
      h("div", { class: "columns" },
        h("div", {}, section(t("task.story"), storyList(story))),
        h("div", {}, family(task), parameters(task))));
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
    onTask((changed) => (changed === null || changed.task_id === id || task?.family.includes(changed.retried_from)) && later()),
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

const section = (title, ...content) => h("section", { class: "card" }, h("h2", {}, title), content);

function heading(task) {
  const status = pill();
  status.update(groupOf(task), t(`stage.${task.stage}`));
  const stuck = store.stuck.get(task.task_id);
  const controls = h("fieldset", { class: "actions", "aria-label": t("actions.label") });
  const button = (words, symbol, run, primary) => h("button", { class: `button ${primary ? "primary" : ""}`, type: "button", onclick: () => actions.carryOut(controls, () => run(task)) }, icon(symbol), t(words));
  if (stuck) controls.append(button("action.recover", "retry", actions.recoverStuck, true));
  if (task.stage === "failed" || task.stage === "cancelled") controls.append(button("action.retry", "retry", actions.retryTask, true));
  if (OPEN.has(task.stage)) controls.append(button("action.cancel", "cross", actions.cancelTask));
  const facts = [task.workflow_type, `#${task.row_number}`, task.server, task.gpu_seconds === null ? null : t("task.gpu", { span: span(task.gpu_seconds) }), task.task_id];
  return h("div", { class: "page-head" },
    h("a", { class: "back", href: toBatch(task.batch_id) }, icon("left"), task.batch_id),
    h("div", { class: "title-line" }, h("h1", {}, rowName(task)), status.node, stuck ? h("span", { class: "badge stuck" }, icon("failed"), t("stuck.badge")) : null, controls),
    h("p", { class: "lead" }, facts.filter(Boolean).join(" · ")));
}

function trouble(task) {
  const stuck = store.stuck.get(task.task_id);
  const parts = [];
  if (stuck) parts.push(h("div", { class: "warning" }, icon("failed"), h("div", {}, h("strong", {}, t("stuck.badge")), h("p", {}, stuck))));
  if (task.blocked_by) parts.push(h("div", { class: "warning" }, icon("failed"), h("div", {}, h("strong", {}, t("task.blocked")), h("p", {}, task.blocked_by))));
  if (task.error_message) {
    const kind = task.error_kind ?? "unknown";
    parts.push(h("div", { class: task.stage === "failed" ? "trouble" : "warning" }, icon("failed"),
      h("div", {}, h("strong", {}, tr(`kind.${kind}`, kind)), h("p", { class: "error-text" }, task.error_message), h("p", { class: "muted" }, tr(`kindhint.${kind}`)))));
  }
  return parts;
}

/** Inputs and outputs side by side; each opens the large view, in which arrow keys move. */
function files(task) {
  const inputs = Object.entries(task.inputs);
  const ready = task.outputs.map((output, index) => ({ output, index })).filter(({ output }) => output.sha256);
  const items = [...inputs.map(([column, file]) => inputItem(task, column, file)), ...ready.map(({ output, index }) => outputItem({ ...task, output_files: task.outputs.map((each) => each.path) }, index, output.path.split("/").pop()))];
  const tile = (thumb, place, caption, size, video) => h("figure", {}, h("button", { class: "tile", type: "button", "aria-label": t("row.view", { name: caption }), onclick: () => openViewer(items, place) }, picture(thumb, "", { video })), h("figcaption", {}, h("span", {}, caption), h("span", { class: "muted num" }, bytes(size))));
  const first = items[inputs.length];
  return h("div", { class: "in-and-out" },
    h("section", { class: "card" }, h("h2", {}, t("task.inputs")), inputs.length ? h("div", { class: "tiles" }, inputs.map(([column, file], n) => tile(inputThumb(task.task_id, column), n, `${column} · ${file.name}`, file.size_bytes))) : h("p", { class: "empty" }, t("none"))),
    h("section", { class: "card" }, h("h2", {}, t("task.outputs")),
      first ? h("div", { class: "result" }, isVideo(first.name) ? large(first) : h("button", { class: "result-button", type: "button", "aria-label": t("row.view", { name: first.caption }), onclick: () => openViewer(items, inputs.length) }, large(first))) : h("p", { class: "empty" }, t(task.stage === "done" ? "none" : "task.no_outputs")),
      ready.length > 1 ? h("div", { class: "tiles" }, ready.map(({ output, index }, n) => tile(outputThumb(task.task_id, index), inputs.length + n, output.path.split("/").pop(), output.size_bytes, isVideo(output.path)))) : null,
      ready.length ? h("p", { class: "muted small path" }, task.output_files.join(", ")) : null));
}

/** The runs of this row and workflow type, both ways. */
function family(task) {
  const lines = [];
  if (task.retried_from) lines.push(h("p", {}, t("task.retry_of", { n: task.retry_number }), h("a", { href: toTask(task.retried_from) }, task.retried_from)));
  if (task.retry_count) lines.push(h("p", {}, t("task.retried", { n: task.retry_count })));
  if (!lines.length) return null;
  return section(t("task.family"), lines, h("ol", { class: "family" }, task.family.map((each) => h("li", {}, each === task.task_id ? h("span", { "aria-current": "true" }, each, ` ${t("task.this")}`) : h("a", { href: toTask(each) }, each)))));
}

function parameters(task) {
  const rows = [
    ...Object.entries(task.parameters), ...Object.entries(task.row).filter(([name]) => !(name in task.parameters)),
    [t("task.attempt"), task.attempt], [t("task.created"), exactMoment(task.created_at)], [t("task.started"), exactMoment(task.started_at)], [t("task.finished"), exactMoment(task.finished_at)], [t("task.prompt_id"), task.comfyui_task_id],
  ].filter(([, value]) => value !== null && value !== "" && value !== undefined);
  return section(t("task.parameters"), h("dl", { class: "pairs long" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value))))));
}
