// One task: what went in, what came out, what went wrong, what happened.

import { read } from "./api.js";
import { h, icon, fill } from "./dom.js";
import { rowName } from "./format.js";
import { meter, ratioOf } from "./status.js";
import { on, onTask, store } from "./store.js";
import { storyList } from "./story.js";
import { family, parameters, section, trouble } from "./task-facts.js";
import { taskFiles } from "./task-files.js";
import { taskHead } from "./task-head.js";
import { t } from "./words.js";

const LOOK_AGAIN_MS = 300;

export function taskView(root, { id }) {
  const leaving = new AbortController();
  const bar = meter(t("task.progress"));
  const node = h("p", { class: "muted" });
  const progress = h("div", { class: "task-progress", hidden: true }, node, bar.node);
  const head = taskHead();
  const body = h("div", { class: "task-body" });
  let task = null;
  let drawn = "";
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
      show(told.story);
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

  function show(story) {
    if (head.node.parentNode !== root) fill(root, head.node, progress, body);
    head.update(task);
    showProgress();
    document.title = `${rowName(task)} – rowkeeper`;
    const all = JSON.stringify([task, story, store.stuck.get(id)]);
    if (all !== drawn) draw(story);
    drawn = all;
  }

  function draw(story) {
    const scrolled = window.scrollY;
    fill(
      body,
      trouble(task),
      taskFiles(task),
      h(
        "div",
        { class: "columns" },
        h("div", {}, section(t("task.story"), storyList(story))),
        h("div", {}, family(task), parameters(task)),
      ),
    );
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
    onTask((changed) => {
      if (changed === null) drawn = ""; // pictures that could not be loaded are asked for again
      const ours = changed?.task_id === id || task?.family.includes(changed?.retried_from);
      if (changed === null || ours) later();
    }),
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
