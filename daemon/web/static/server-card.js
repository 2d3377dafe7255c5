// One ComfyUI server: its health, its queue, how busy its GPU is, and what it works on.

import * as actions from "./actions.js";
import { h, icon, keyed, setText } from "./dom.js";
import { count, rowName, share } from "./format.js";
import { toTask } from "./route.js";
import { meter, ratioOf } from "./status.js";
import { store } from "./store.js";
import { t } from "./words.js";

const SHOWN_TASKS = 6;

export function serverCard() {
  const name = h("h3", {});
  const health = h("span", { class: "health" });
  const about = h("p", { class: "muted small" });
  const busy = meter(t("server.busy"));
  const busyWords = h("span", { class: "num" });
  const queue = h("span", {});
  const model = h("span", {});
  const work = h("div", { class: "server-work" });
  const idle = h("p", { class: "muted small idle-line" });
  const showWork = keyed(work, (task) => task.task_id, runningTask);
  const drain = h("button", { class: "text-button", type: "button" });
  let current = null;
  drain.addEventListener("click", () =>
    actions.carryOut(drain, () => actions.setDrained(current.name, !current.drained)),
  );
  const node = h(
    "article",
    { class: "card server" },
    h("header", {}, h("span", { class: "dot" }), name, health, drain),
    about,
    h(
      "dl",
      { class: "pairs" },
      h("div", {}, h("dt", {}, t("server.model")), h("dd", {}, model)),
      h("div", {}, h("dt", {}, t("server.queue")), h("dd", {}, queue)),
      h("div", {}, h("dt", {}, t("server.busy")), h("dd", { class: "busy" }, busy.node, busyWords)),
    ),
    work,
    idle,
  );
  return {
    node,
    update(server) {
      current = server;
      const state = healthOf(server);
      node.dataset.health = state;
      setText(name, server.name);
      setText(health, t(`health.${state}`));
      setText(
        about,
        server.why_not ??
          [server.version ? `ComfyUI ${server.version}` : "", server.url ?? ""]
            .filter(Boolean)
            .join(" · "),
      );
      const away = state === "unreachable" || state === "unknown";
      setText(model, server.last_type ?? "–");
      // the server is asked now and then; what we know of our own prompts is newer
      setText(
        queue,
        away
          ? "–"
          : t("server.queue_words", {
              running: count(Math.max(server.queue_running ?? 0, inStage(server.name, "running"))),
              pending: count(Math.max(server.queue_pending ?? 0, inStage(server.name, "queued"))),
              ours: count(server.in_flight),
              most: count(server.max_in_flight),
            }),
      );
      const busyShare = store.overview?.busy_shares?.[server.name] ?? 0;
      busy.update(busyShare);
      setText(busyWords, share(busyShare));
      setText(drain, t(server.drained ? "action.undrain" : "action.drain"));
      const inside = [...store.inFlight.values()].filter(
        (task) => task.server === server.name && task.stage !== "submitting",
      );
      showWork(inside.slice(0, SHOWN_TASKS));
      idle.hidden = inside.length > 0;
      setText(idle, t(away ? "server.away" : "server.idle"));
    },
  };
}

const inStage = (server, stage) =>
  [...store.inFlight.values()].filter((task) => task.server === server && task.stage === stage)
    .length;

function healthOf(server) {
  if (server.drained) return "drained";
  if (server.reachable === null) return "unknown";
  if (!server.reachable) return "unreachable";
  return server.usable ? "ok" : "unusable";
}

/** A task inside the server, with how far its node is. */
function runningTask() {
  const link = h("a", {});
  const what = h("span", { class: "muted small" });
  const stuck = h("span", { class: "badge stuck", hidden: true }, icon("failed"), t("stuck.badge"));
  const bar = meter(t("task.progress"));
  const node = h(
    "div",
    { class: "work" },
    h("div", { class: "work-line" }, link, stuck, what),
    bar.node,
  );
  return {
    node,
    update(task) {
      const how = store.progress.get(task.task_id);
      link.setAttribute("href", toTask(task.task_id));
      setText(link, rowName(task));
      setText(
        what,
        task.stage === "running" && how?.node
          ? t("task.node", { node: how.node })
          : t(`stage.${task.stage}`),
      );
      stuck.hidden = !store.stuck.has(task.task_id);
      bar.node.classList.toggle("idle", task.stage !== "running");
      bar.update(task.stage === "running" ? ratioOf(how) : 0);
    },
  };
}
