// The figures of the overview: how many of what, and the last hour by the minute.

import { h, setText } from "./dom.js";
import { count } from "./format.js";
import { store } from "./store.js";
import { t } from "./words.js";

export function figures() {
  const names = ["processing", "pending", "hour", "failed"];
  const numbers = Object.fromEntries(names.map((name) => [name, h("b", {})]));
  const chart = h("div", { class: "spark", role: "img" });
  const bars = Array.from({ length: 60 }, () => h("span", {}, h("i", {})));
  chart.append(...bars);
  const pace = h("p", { class: "muted" });
  const node = h(
    "section",
    { class: "figures", "aria-label": t("overview.figures") },
    names.map((name) =>
      h(
        name === "failed" ? "a" : "div",
        { class: "figure", "data-name": name, href: name === "failed" ? "#/failed" : null },
        h("span", {}, t(`figure.${name}`)),
        numbers[name],
      ),
    ),
    h("div", { class: "figure wide" }, h("span", {}, t("figure.pace")), chart, pace),
  );
  return {
    node,
    on: ["batches", "overview"],
    update() {
      const totals = { processing: 0, pending: 0, failed: 0 };
      for (const { statistics } of store.batches.values())
        for (const name in totals) totals[name] += statistics[name];
      const done = store.overview?.done_per_minute ?? [];
      const failed = store.overview?.failed_per_minute ?? [];
      const hour = done.reduce((total, each) => total + each, 0);
      for (const name of names)
        setText(numbers[name], count(name === "hour" ? hour : totals[name]));
      node.querySelector('[data-name="failed"]').classList.toggle("bad", totals.failed > 0);
      const most = Math.max(1, ...done.map((each, n) => each + failed[n]));
      bars.forEach((bar, n) => {
        bar.style.height = `${(((done[n] ?? 0) + (failed[n] ?? 0)) / most) * 100}%`;
        bar.firstChild.style.height = `${((failed[n] ?? 0) / Math.max(1, (done[n] ?? 0) + (failed[n] ?? 0))) * 100}%`;
      });
      const recent = done.slice(-10).reduce((total, each) => total + each, 0) / 10;
      setText(pace, t("figure.pace_now", { n: count(Math.round(recent * 10) / 10) }));
      chart.setAttribute(
        "aria-label",
        t("figure.pace_label", { hour: count(hour), n: count(Math.round(recent * 10) / 10) }),
      );
    },
  };
}
