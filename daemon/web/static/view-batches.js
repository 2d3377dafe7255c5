// All batches, the newest first.

import { batchCard } from "./batch-card.js";
import { h, keyed } from "./dom.js";
import { showMore } from "./more.js";
import { on, store } from "./store.js";
import { t } from "./words.js";

export function batchesView(root) {
  const search = h("input", {
    type: "search",
    placeholder: t("batches.search"),
    "aria-label": t("batches.search"),
    oninput: update,
  });
  const list = h("div", { class: "batch-list" });
  const empty = h("p", { class: "empty" });
  const more = showMore(update);
  const show = keyed(list, (batch) => batch.batch_id, batchCard);
  root.append(
    h("div", { class: "page-head with-tools" }, h("h1", {}, t("nav.batches")), search),
    list,
    empty,
    more.button,
  );

  function update() {
    const wanted = search.value.trim().toLowerCase();
    const all = [...store.batches.values()].reverse();
    const found = wanted
      ? all.filter((batch) => `${batch.name} ${batch.batch_id}`.toLowerCase().includes(wanted))
      : all;
    show(more.take(found));
    empty.hidden = found.length > 0;
    empty.textContent = t(all.length ? "nothing_found" : "overview.no_batches");
  }

  update();
  return on("batches", update);
}
