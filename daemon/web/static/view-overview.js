// The overview: what runs where, how fast, until when, and what wants attention.

import * as actions from "./actions.js";
import { batchCard } from "./batch-card.js";
import { figures } from "./figures.js";
import { h, icon, fill, keyed, setText } from "./dom.js";
import { count, eta, rowName } from "./format.js";
import { toTask } from "./route.js";
import { serverCard } from "./server-card.js";
import { on, store } from "./store.js";
import { isArchived } from "./status.js";
import { resultTile } from "./thumb.js";
import { openViewer, outputItem } from "./viewer.js";
import { currentLanguage, t } from "./words.js";

const SHOWN_BATCHES = 6;
const WANTS_ATTENTION = new Set(["running", "paused", "failed", "stopped"]);

export function overviewView(root) {
  const parts = [headline(), warnings(), figures(), stuckWarning(), servers(), latest(), batches()];
  root.append(...parts.map((part) => part.node));
  const ends = parts.flatMap((part) => part.on.map((name) => on(name, part.update)));
  for (const part of parts) part.update();
  return () => {
    for (const end of ends) end();
  };
}

function headline() {
  const words = h("p", { class: "lead" });
  const node = h("div", { class: "page-head" }, h("h1", {}, t("nav.overview")), words);
  return { node, on: ["batches", "overview", "tasks"], update: () => setText(words, sentence()) };
}

/** One sentence that says it all: what is going on, how fast, until when. */
function sentence() {
  const running = [...store.batches.values()].filter((batch) => batch.status === "running");
  const open = running.reduce(
    (sum, batch) => sum + batch.statistics.pending + batch.statistics.processing,
    0,
  );
  if (!open) return t("overview.idle");
  const ranges = running.map((batch) => batch.eta).filter(Boolean);
  const all = ranges.length && {
    low_seconds: sum(ranges, "low_seconds"),
    high_seconds: sum(ranges, "high_seconds"),
  };
  return [
    t("overview.open", { rows: count(open), batches: count(running.length) }),
    all ? eta(all) : "",
  ]
    .filter(Boolean)
    .join(t("list.comma"));
}

const sum = (ranges, key) => ranges.reduce((total, range) => total + range[key], 0);

/** What keeps work from going on, in the server's own sentences. */
function warnings() {
  const list = h("ul", {});
  const node = h(
    "section",
    { class: "warning", role: "alert", hidden: true },
    icon("failed"),
    h("div", {}, list),
  );
  return {
    node,
    on: ["overview"],
    update() {
      const found = store.overview?.warnings ?? [];
      node.hidden = found.length === 0;
      fill(
        list,
        found.map((each) => h("li", {}, each[currentLanguage()])),
      );
    },
  };
}

function stuckWarning() {
  const words = h("strong", {});
  const list = h("ul", {});
  const recover = h(
    "button",
    {
      class: "button primary",
      type: "button",
      onclick: () => actions.carryOut(recover, actions.recoverStuck),
    },
    t("action.recover"),
  );
  const node = h(
    "section",
    { class: "warning", role: "alert", hidden: true },
    icon("failed"),
    h("div", {}, words, list),
    recover,
  );
  return {
    node,
    on: ["stuck"],
    update() {
      node.hidden = store.stuck.size === 0;
      setText(words, t("stuck.warning", { n: count(store.stuck.size) }));
      fill(
        list,
        [...store.stuck]
          .slice(0, 5)
          .map(([id, why]) => h("li", {}, h("a", { href: toTask(id) }, id), ` ${why}`)),
      );
    },
  };
}

function servers() {
  const grid = h("div", { class: "server-grid" });
  const show = keyed(grid, (server) => server.name, serverCard);
  const node = h("section", {}, h("h2", {}, t("overview.servers")), grid);
  return {
    node,
    on: ["servers", "tasks", "progress", "overview"],
    update: () => show(store.servers),
  };
}

function latest() {
  const strip = h("div", { class: "latest" });
  const node = h("section", {}, h("h2", {}, t("overview.latest")), strip);
  const show = keyed(
    strip,
    (task) => task.task_id,
    (task) => {
      const button = h(
        "button",
        {
          class: "tile",
          type: "button",
          title: rowName(task),
          onclick: () =>
            openViewer(
              store.latest.map((each) => outputItem(each)),
              store.latest.findIndex((each) => each.task_id === task.task_id),
            ),
        },
        resultTile(task, rowName(task)),
      );
      return { node: button, update() {} };
    },
  );
  return {
    node,
    on: ["latest"],
    update() {
      node.hidden = store.latest.length === 0;
      show(store.latest);
    },
  };
}

function batches() {
  const list = h("div", { class: "batch-list" });
  const show = keyed(list, (batch) => batch.batch_id, batchCard);
  const empty = h("p", { class: "empty" }, t("overview.no_batches"));
  const node = h(
    "section",
    {},
    h(
      "div",
      { class: "section-head" },
      h("h2", {}, t("overview.batches")),
      h("a", { href: "#/batches" }, t("overview.all_batches")),
    ),
    list,
    empty,
  );
  return {
    node,
    on: ["batches"],
    update() {
      const all = [...store.batches.values()].filter((batch) => !isArchived(batch)).reverse();
      const wanted = all.filter((batch) => WANTS_ATTENTION.has(batch.status));
      const shown = (wanted.length ? wanted : all).slice(0, SHOWN_BATCHES);
      empty.hidden = store.batches.size > 0;
      show(shown);
    },
  };
}
