// What failed and was not retried since: by batch, the reasons grouped.

import * as actions from "./actions.js";
import { read } from "./api.js";
import { h, icon, keyed, setText } from "./dom.js";
import { count, moment, rowName } from "./format.js";
import { showMore } from "./more.js";
import { retold } from "./retold.js";
import { toBatch, toTask } from "./route.js";
import { on, store } from "./store.js";
import { picture, thumbOf } from "./thumb.js";
import { t, tr } from "./words.js";

const OPEN_AT_FIRST = 3;
const SHOWN = 20;

export function failedView(root) {
  const empty = h("p", { class: "empty" }, t("failed.none"));
  const list = h("div", { class: "failed-list" });
  let made = 0;
  const more = showMore(update);
  const show = keyed(
    list,
    (batch) => batch.batch_id,
    (batch) => {
      made += 1;
      return failedBatch(batch, made <= OPEN_AT_FIRST);
    },
  );
  root.append(
    h(
      "div",
      { class: "page-head" },
      h("h1", {}, t("nav.failed")),
      h("p", { class: "lead" }, t("failed.lead")),
    ),
    empty,
    list,
    more.button,
  );

  function update() {
    const batches = [...store.batches.values()]
      .filter((batch) => batch.statistics.failed)
      .reverse();
    empty.hidden = batches.length > 0;
    show(more.take(batches));
  }

  update();
  return on("batches", update);
}

function failedBatch(batch, open) {
  const number = h("span", { class: "nav-count" });
  const note = h("p", { class: "empty" }, t("loading"));
  const groups = h("div", { class: "groups" });
  const showGroups = keyed(groups, ([kind]) => kind, reasonGroup);
  const retryAll = h(
    "button",
    {
      class: "button",
      type: "button",
      onclick: () => actions.carryOut(retryAll, () => actions.retryFailed(batch.batch_id)),
    },
    icon("retry"),
    t("action.retry_failed"),
  );
  const node = h(
    "details",
    { class: "card", open, ontoggle: () => node.open && load() },
    h("summary", {}, h("h2", {}, batch.name), number),
    h(
      "div",
      { class: "failed-tools" },
      h("a", { href: toBatch(batch.batch_id, "?status=failed") }, t("failed.in_batch")),
      retryAll,
    ),
    note,
    groups,
  );
  let loaded = -1;
  let wanted = 0;

  async function load() {
    if (loaded === wanted) return;
    loaded = wanted;
    try {
      const found = await read(
        `/api/batches/${encodeURIComponent(batch.batch_id)}/failed-executions`,
      );
      showGroups(grouped(found.failed_executions));
      note.hidden = true;
    } catch (error) {
      note.className = "problem-line";
      note.textContent = error.message;
      note.hidden = false;
    }
  }

  return {
    node,
    update(now) {
      setText(number, count(now.statistics.failed));
      wanted = now.statistics.failed;
      if (node.open) load();
    },
  };
}

/** By class, the most frequent first. */
function grouped(tasks) {
  const groups = new Map();
  for (const task of tasks) {
    const kind = task.error_kind ?? "unknown";
    if (!groups.has(kind)) groups.set(kind, []);
    groups.get(kind).push(task);
  }
  return [...groups].sort(([, a], [, b]) => b.length - a.length);
}

/** Tasks that stay keep their nodes: a button under a finger must not go. */
function reasonGroup([kind]) {
  const number = h("span", { class: "muted num" });
  const list = h("ul", { class: "failed-tasks" });
  const showTasks = keyed(list, (task) => task.task_id, failedTask);
  const more = h("button", { class: "text-button", type: "button", onclick: showAll });
  const node = h(
    "section",
    { class: "reason" },
    h("h3", {}, tr(`kind.${kind}`, kind), number),
    h("p", { class: "muted" }, tr(`kindhint.${kind}`)),
    list,
    more,
  );
  let tasks = [];
  let most = SHOWN;

  function showAll() {
    most = Infinity;
    show();
  }

  function show() {
    setText(number, ` ${count(tasks.length)}`);
    showTasks(tasks.slice(0, most));
    more.hidden = tasks.length <= most;
    setText(more, t("failed.all", { n: count(tasks.length) }));
  }

  return {
    node,
    update([, found]) {
      tasks = found;
      show();
    },
  };
}

function failedTask(task) {
  const retry = h(
    "button",
    {
      class: "button small",
      type: "button",
      onclick: () => actions.carryOut(retry, () => actions.retryTask(task)),
    },
    t("action.retry"),
  );
  const row = { ...task, inputs: Object.keys(task.inputs), outputs_count: 0 };
  const node = h(
    "li",
    {},
    picture(thumbOf(row), ""),
    h(
      "div",
      { class: "row-words" },
      h("a", { href: toTask(task.task_id) }, `#${task.row_number} ${rowName(task)}`),
      h("p", { class: "bad" }, retold(task.error_message ?? "")),
    ),
    h("span", { class: "muted num" }, moment(task.finished_at)),
    retry,
  );
  return { node, update() {} };
}
