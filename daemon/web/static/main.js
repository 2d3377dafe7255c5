// The page: its frame, and the view that the address names.

import { h, icon, fill, setAttribute, setText } from "./dom.js";
import { dropZone } from "./drop.js";
import { noticeRegion } from "./notice.js";
import { currentRoute, onRoute } from "./route.js";
import { on, store } from "./store.js";
import { listen } from "./stream.js";
import { watchStuck } from "./stuck-watch.js";
import { initTheme, isDark, switchTheme } from "./theme.js";
import { batchView } from "./view-batch.js";
import { batchesView } from "./view-batches.js";
import { failedView } from "./view-failed.js";
import { overviewView } from "./view-overview.js";
import { taskView } from "./view-task.js";
import { currentLanguage, initLanguage, setLanguage, t } from "./words.js";

const VIEWS = {
  overview: overviewView,
  batches: batchesView,
  batch: batchView,
  task: taskView,
  failed: failedView,
};
const NAVIGATION = [
  ["overview", "#/", "overview"],
  ["batches", "#/batches", "batches"],
  ["failed", "#/failed", "failed"],
];
const BELONGS = { batch: "batches", task: "batches" };

let endings = []; // what to end before the frame is built anew
let leave = () => {};

function build() {
  for (const end of endings) end();
  const main = h("main", { id: "main", tabindex: "-1" });
  const links = NAVIGATION.map(([name, href, symbol]) =>
    h(
      "a",
      { href, class: "nav-link", "data-view": name },
      icon(symbol),
      h("span", {}, t(`nav.${name}`)),
      h("span", { class: "nav-count" }),
    ),
  );
  const drop = dropZone();
  const live = connection();
  fill(
    document.body,
    h(
      "a",
      {
        class: "skip",
        href: "#main",
        onclick: (event) => {
          event.preventDefault();
          main.focus();
        },
      },
      t("skip"),
    ),
    h(
      "header",
      { class: "side" },
      h(
        "a",
        { class: "brand", href: "#/", "aria-label": "rowkeeper" },
        h("img", { src: "/static/icon.svg", alt: "", width: 22, height: 22 }),
        h("span", {}, "rowkeeper"),
      ),
      h("nav", { "aria-label": t("nav.label") }, links),
      drop.button,
      h("div", { class: "side-foot" }, live.node, switches()),
    ),
    main,
    drop.overlay,
    noticeRegion(),
  );
  const show = () => open(main, links);
  endings = [onRoute(show), on("batches", () => countFailed(links)), drop.end, live.end];
  show();
  countFailed(links);
}

function open(main, links) {
  const { name, params } = currentRoute();
  leave();
  const view = VIEWS[name] ?? overviewView;
  const place = h("div", { class: `view view-${name}` });
  main.replaceChildren(place);
  leave = view(place, params) ?? (() => {});
  for (const link of links)
    setAttribute(
      link,
      "aria-current",
      link.dataset.view === (BELONGS[name] ?? name) ? "page" : null,
    );
  window.scrollTo(0, 0);
  const heading = place.querySelector("h1");
  document.title = heading ? `${heading.textContent} – rowkeeper` : "rowkeeper";
}

function countFailed(links) {
  let failed = 0;
  for (const batch of store.batches.values()) failed += batch.statistics.failed;
  const place = links.find((link) => link.dataset.view === "failed").querySelector(".nav-count");
  setText(place, failed || "");
}

function connection() {
  const words = h("span", {});
  const node = h("p", { class: "connection", role: "status" }, h("span", { class: "dot" }), words);
  const show = () => {
    node.dataset.state = store.connection;
    setText(words, t(`connection.${store.connection}`));
    document.body.classList.toggle("offline", store.connection === "offline");
  };
  const end = on("connection", show);
  show();
  return { node, end };
}

function switches() {
  const other = currentLanguage() === "zh" ? "en" : "zh";
  const theme = h("button", {
    class: "icon-button",
    type: "button",
    onclick: () => {
      switchTheme();
      show();
    },
  });
  const show = () => {
    fill(theme, icon(isDark() ? "sun" : "moon"));
    setAttribute(theme, "aria-label", t(isDark() ? "theme.light" : "theme.dark"));
  };
  show();
  return h(
    "div",
    { class: "switches" },
    h(
      "button",
      {
        class: "text-button",
        type: "button",
        lang: other,
        onclick: () => {
          setLanguage(other);
          build();
        },
      },
      other === "zh" ? "中文" : "English",
    ),
    theme,
  );
}

initTheme();
initLanguage();
build();
watchStuck();
listen();
