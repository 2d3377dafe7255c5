// One row in the list of a batch, reused for whichever task comes into sight.

import * as actions from "./actions.js";
import { h, icon, setAttribute, setText } from "./dom.js";
import { exactMoment, isVideo, moment, rowName } from "./format.js";
import { retold } from "./retold.js";
import { toTask } from "./route.js";
import { groupOf, meter, pill, ratioOf } from "./status.js";
import { store } from "./store.js";
import { thumbOf } from "./thumb.js";
import { t, tr } from "./words.js";

export const ROW_HEIGHT = 60;
const SETTLED_MS = 90; // pictures are asked for once scrolling rests

/** `taskAt(index)` gives the task to show; `view(task)` opens its result. */
export function rowItem(taskAt, view) {
  const image = h("img", { alt: "", decoding: "async", onerror: () => box.classList.add("gone") });
  const box = h(
    "button",
    { class: "thumb", type: "button", onclick: () => task.outputs_count && view(task) },
    image,
  );
  const number = h("span", { class: "row-number num" });
  const link = h("a", { class: "row-link" });
  const about = h("span", { class: "row-about" });
  const bar = meter(t("task.progress"));
  const stuck = h("span", { class: "badge stuck", hidden: true }, icon("failed"), t("stuck.badge"));
  const status = pill();
  const when = h("time", { class: "muted num row-when" });
  const act = h("button", { class: "button small", type: "button", onclick: carryOut });
  const node = h(
    "div",
    { class: "row" },
    box,
    number,
    h("div", { class: "row-words" }, link, about, bar.node),
    h("div", { class: "row-state" }, stuck, status.node),
    when,
    h("div", { class: "row-act" }, act),
  );
  let task = null;
  let wantedSrc = null;
  let soon = 0;

  function carryOut() {
    const now = task;
    actions.carryOut(act, () => actionOf(now).run(now));
  }

  function showPicture(src) {
    if (src === wantedSrc) return;
    wantedSrc = src;
    clearTimeout(soon);
    image.removeAttribute("src");
    box.classList.toggle("gone", src === null);
    if (src === null) return;
    soon = setTimeout(() => {
      image.src = src;
    }, SETTLED_MS);
  }

  return {
    node,
    show(index) {
      task = taskAt(index);
      if (!task) return;
      const running = task.stage === "running";
      const how = running ? store.progress.get(task.task_id) : null;
      showPicture(thumbOf(task));
      box.classList.toggle("is-video", isVideo(task.output_files?.[0]));
      setAttribute(box, "aria-label", t("row.view", { name: rowName(task) }));
      box.disabled = !task.outputs_count;
      setText(number, task.row_number);
      link.setAttribute("href", toTask(task.task_id));
      setText(link, rowName(task));
      setText(about, aboutOf(task, how));
      setAttribute(link, "title", about.textContent); // the link lies over the whole row
      about.classList.toggle("bad", task.stage === "failed");
      bar.node.hidden = !running;
      if (running) bar.update(ratioOf(how));
      status.update(groupOf(task), t(`stage.${task.stage}`));
      stuck.hidden = !store.stuck.has(task.task_id);
      setText(when, moment(task.finished_at ?? task.updated_at));
      setAttribute(when, "title", exactMoment(task.finished_at ?? task.updated_at));
      const action = actionOf(task);
      act.hidden = !action;
      if (action) setText(act, t(action.words));
    },
  };
}

/** What one would do to a task from the list, if anything. */
function actionOf(task) {
  if (store.stuck.has(task.task_id)) return { words: "action.recover", run: actions.recoverStuck };
  if (task.stage === "failed" || task.stage === "cancelled")
    return { words: "action.retry", run: actions.retryTask };
  return null;
}

/** The line below the name: what it is, and what keeps it. */
function aboutOf(task, how) {
  const parts = [task.workflow_type];
  if (task.retry_number) parts.push(t("row.retry", { n: task.retry_number }));
  if (task.stage === "failed") parts.push(failureOf(task));
  else if (task.blocked_by) parts.push(`${t("task.blocked")}: ${retold(task.blocked_by)}`);
  else if (task.stage === "running")
    parts.push(how?.node ? `${task.server} · ${t("task.node", { node: how.node })}` : task.server);
  else if (task.stage === "waiting" && task.error_message) parts.push(failureOf(task));
  else if (task.server && task.stage !== "waiting") parts.push(task.server);
  return parts.join(" · ");
}

/** Which kind of failure it was, in the reader's words, then what the record says. */
function failureOf(task) {
  const kind = task.error_kind ?? "unknown";
  const words = tr(`kind.${kind}`, kind);
  return task.error_message ? `${words}: ${retold(task.error_message)}` : words;
}
