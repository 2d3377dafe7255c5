// All batches, the newest first.

import { batchCard } from "./batch-card.js";
import { h, keyed } from "./dom.js";
import { on, store } from "./store.js";
import { t } from "./words.js";

const FIRST = 50;

export function batchesView(root) {
  let shown = FIRST;
  const search = h("input", {
    type: "search",
    placeholder: t("batches.search"),
    "aria-label": t("batches.search"),
    oninput: update,
  });
  const list = h("div", { class: "batch-list" });
  const empty = h("p", { class: "empty" });
  const more = h(
    "button",
    {
      class: "button",
      type: "button",
      onclick: () => {
        shown += FIRST;
        update();
      },
    },
    t("more"),
  );
  const show = keyed(list, (batch) => batch.batch_id, batchCard);
  root.append(
    h("div", { class: "page-head with-tools" }, h("h1", {}, t("nav.batches")), search),
    list,
    empty,
    more,
  );

  function update() {
    const wanted = search.value.trim().toLowerCase();
    const all = [...store.batches.values()].reverse();
    const found = wanted
      ? all.filter((batch) => `${batch.name} ${batch.batch_id}`.toLowerCase().includes(wanted))
      : all;
    show(found.slice(0, shown));
    more.hidden = found.length <= shown;
    empty.hidden = found.length > 0;
    empty.textContent = t(all.length ? "nothing_found" : "overview.no_batches");
  }

  update();
  return on("batches", update);
}
