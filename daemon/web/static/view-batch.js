// One batch: how it stands, and its rows, each with its picture and progress.

import { read } from "./api.js";
import { batchButtons } from "./batch-actions.js";
import { batchFacts, batchGroup, heldSentence } from "./batch-card.js";
import { BatchRows } from "./batch-rows.js";
import { h, icon, setAttribute, setText } from "./dom.js";
import { count } from "./format.js";
import { keepInAddress, toBatch } from "./route.js";
import { rowItem, ROW_HEIGHT } from "./row-item.js";
import { countsSentence, GROUPS, pill, statusBar } from "./status.js";
import { on, onTask, store, takeBatch } from "./store.js";
import { virtualList } from "./virtual-list.js";
import { openViewer, outputItem } from "./viewer.js";
import { t } from "./words.js";

const LOAD_AGAIN_MS = 1000;
const FILTER_AGAIN_MS = 250;

export function batchView(root, params) {
  const rows = new BatchRows(params.id);
  rows.status = GROUPS.includes(params.status) ? params.status : "";
  rows.search = (params.q ?? "").toLowerCase();
  const leaving = new AbortController();
  const list = virtualList({
    rowHeight: ROW_HEIGHT,
    make: () => rowItem((index) => rows.at(index), show),
    label: t("batch.rows_label"),
  });
  const empty = h("p", { class: "empty", hidden: true });
  const head = header();
  const tools = filters(rows, params.q ?? "", refilter);
  root.append(head.node, tools.node, h("div", { class: "list-frame" }, list.node, empty));

  function draw() {
    list.setLength(rows.visible.length);
    empty.hidden = rows.visible.length > 0;
    setText(
      empty,
      t(!rows.complete ? "loading" : rows.all.length ? "nothing_found" : "batch.empty"),
    );
  }

  function refilter() {
    keepInAddress({ status: rows.status, q: rows.search });
    rows.filter();
    draw();
  }

  /** Open the large view on the results of the rows in the list, at this one. */
  function show(task) {
    const made = rows.visible.map((place) => rows.all[place]).filter((each) => each.outputs_count);
    openViewer(
      made.map((each) => outputItem(each)),
      made.findIndex((each) => each.task_id === task.task_id),
    );
  }

  const load = () =>
    rows.load(draw, leaving.signal).catch((error) => {
      if (error.name !== "AbortError") setText(empty, `${error.message} ${error.hint ?? ""}`);
    });
  let again = 0;
  let filterSoon = 0;
  const ends = [
    onTask((task, batchIds) => {
      if (task === null) {
        if (!batchIds || batchIds.includes(params.id)) {
          clearTimeout(again);
          again = setTimeout(load, rows.complete ? LOAD_AGAIN_MS : 0);
        }
        return;
      }
      if (task.batch_id !== params.id || (task.retry_count && !rows.complete)) return;
      const before = rows.all.length;
      const place = rows.put(task);
      if (rows.all.length === before && !rows.status && !rows.search) {
        list.refresh(rows.shownAt.get(place));
        return;
      }
      filterSoon ||= setTimeout(() => {
        filterSoon = 0;
        rows.filter();
        draw();
      }, FILTER_AGAIN_MS);
    }),
    on("progress", list.refreshAll),
    on("stuck", list.refreshAll),
    on("batches", update),
    list.end,
  ];

  function update() {
    const batch = store.batches.get(params.id);
    if (!batch) return;
    head.update(batch);
    tools.update(batch.statistics);
  }

  read(`/api/batches/${encodeURIComponent(params.id)}`, { signal: leaving.signal })
    .then(takeBatch)
    .catch((error) => {
      if (error.name !== "AbortError") head.problem(error);
    });
  load();
  update();
  return () => {
    leaving.abort();
    clearTimeout(again);
    clearTimeout(filterSoon);
    for (const end of ends) end();
  };
}

function header() {
  const title = h("h1", {});
  const status = pill();
  const facts = h("p", { class: "lead" });
  const held = h("p", { class: "held", hidden: true });
  const from = h("p", { class: "muted", hidden: true });
  const bar = statusBar();
  const buttons = batchButtons();
  const node = h(
    "div",
    { class: "page-head batch-head" },
    h("a", { class: "back", href: "#/batches" }, icon("left"), t("nav.batches")),
    h("div", { class: "title-line" }, title, status.node, buttons.node),
    facts,
    from,
    held,
    bar.node,
  );
  return {
    node,
    update(batch) {
      setText(title, batch.name);
      document.title = `${batch.name} – rowkeeper`;
      status.update(batchGroup(batch), t(`batch.${batch.status}`));
      setText(facts, `${batchFacts(batch)} · ${batch.batch_id}`);
      from.hidden = !batch.rerun_of;
      if (batch.rerun_of && !from.firstChild)
        from.append(t("batch.rerun_of"), h("a", { href: toBatch(batch.rerun_of) }, batch.rerun_of));
      held.hidden = !batch.held || batch.status !== "running";
      setText(held, heldSentence(batch));
      bar.update(batch.statistics);
      buttons.update(batch);
    },
    problem(error) {
      setText(title, error.message);
      setText(facts, error.hint);
    },
  };
}

/** Chips that choose a status, with counts, and the search field. */
function filters(rows, searched, changed) {
  const chips = ["", ...GROUPS].map((group) => {
    const number = h("span", { class: "num" });
    const choose = () => {
      rows.status = group;
      for (const each of chips)
        setAttribute(each.node, "aria-pressed", String(each.group === rows.status));
      changed();
    };
    const node = h(
      "button",
      {
        class: "chip",
        type: "button",
        "data-status": group || "all",
        "aria-pressed": String(rows.status === group),
        onclick: choose,
      },
      t(group ? `group.${group}` : "group.all"),
      number,
    );
    return { group, node, number };
  });
  const search = h("input", {
    type: "search",
    value: searched,
    placeholder: t("batch.search"),
    "aria-label": t("batch.search"),
    oninput: () => {
      rows.search = search.value.trim().toLowerCase();
      changed();
    },
  });
  const node = h(
    "div",
    { class: "filters" },
    h(
      "div",
      { class: "chips", role: "group", "aria-label": t("batch.filter") },
      chips.map((chip) => chip.node),
    ),
    search,
  );
  return {
    node,
    update(statistics) {
      setAttribute(node, "title", countsSentence(statistics));
      for (const { group, node: chip, number } of chips) {
        const amount = group ? statistics[group] : statistics.total;
        setText(number, count(amount));
        chip.hidden = Boolean(group) && amount === 0 && rows.status !== group;
      }
    },
  };
}
