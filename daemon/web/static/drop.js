// A job file and its pictures onto the page: taken in as a drop is, with a verdict for each row.

import { upload } from "./api.js";
import { openDialog } from "./dialog.js";
import { h, icon, fill } from "./dom.js";
import { filesOf } from "./drop-files.js";
import { bytes, count } from "./format.js";
import { toBatch } from "./route.js";
import { meter } from "./status.js";
import { Declined } from "./token.js";
import { t } from "./words.js";

const JOB = /\.(csv|xlsx|json|jsonl)$/i;

/** The button that asks for files, and the whole page as a place to drop them on. */
export function dropZone() {
  const overlay = h(
    "div",
    { class: "drop-overlay", hidden: true },
    h("div", {}, icon("upload"), h("p", {}, t("drop.here"))),
  );
  const button = h(
    "button",
    { class: "button submit-job", type: "button", onclick: () => submission([]) },
    icon("upload"),
    t("drop.button"),
  );
  const listeners = {
    dragover: (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      overlay.hidden = false;
    },
    dragleave: (event) => {
      if (event.relatedTarget === null) overlay.hidden = true;
    },
    drop: async (event) => {
      event.preventDefault();
      overlay.hidden = true;
      submission(await filesOf(event.dataTransfer));
    },
  };
  for (const [name, listener] of Object.entries(listeners)) window.addEventListener(name, listener);
  const end = () => {
    for (const [name, listener] of Object.entries(listeners))
      window.removeEventListener(name, listener);
  };
  return { button, overlay, end };
}

function submission(dropped) {
  let files = dropped;
  const list = h("div", { class: "file-list" });
  const result = h("div", { role: "status" });
  const bar = meter(t("drop.sending"));
  bar.node.hidden = true;
  const send = h("button", { class: "button primary", type: "submit" }, t("drop.send"));
  const pick = (words, folder) => {
    const field = h("input", {
      type: "file",
      multiple: true,
      class: "visually-hidden",
      webkitdirectory: folder,
      onchange: () => {
        add([...field.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
      },
    });
    return h("label", { class: "button file-button" }, t(words), field);
  };
  const form = h(
    "form",
    { method: "dialog", class: "drop-form", onsubmit: sendAll },
    h("p", { class: "muted" }, t("drop.about")),
    h("div", { class: "pickers" }, pick("drop.files", false), pick("drop.folder", true)),
    list,
    bar.node,
    result,
    h("div", { class: "dialog-buttons" }, send),
  );
  const dialog = openDialog(t("drop.button"), form, () => {}, "wide");

  function add(more) {
    const known = new Set(files.map(({ path }) => path));
    files = [...files, ...more.filter(({ path }) => !known.has(path))];
    show();
  }

  function show() {
    const jobs = files.filter(({ path }) => JOB.test(path));
    const size = files.reduce((sum, { file }) => sum + file.size, 0);
    fill(
      list,
      jobs.map(({ path }) => h("p", {}, icon("batches"), path)),
      files.length
        ? h(
            "p",
            { class: "muted" },
            t("drop.pictures", { n: count(files.length - jobs.length), size: bytes(size) }),
          )
        : null,
      files.length && jobs.length !== 1
        ? h("p", { class: "problem-line" }, t(jobs.length ? "drop.two_jobs" : "drop.no_job"))
        : null,
    );
    send.disabled = jobs.length !== 1;
  }

  async function sendAll(event) {
    event.preventDefault();
    const form = new FormData();
    const job = files.find(({ path }) => JOB.test(path));
    const folder = job.path.includes("/") ? job.path.slice(0, job.path.lastIndexOf("/") + 1) : "";
    const inFolder = (path) => (path.startsWith(folder) ? path.slice(folder.length) : path);
    form.append("job", job.file, inFolder(job.path));
    for (const { file, path } of files)
      if (!JOB.test(path)) form.append("pictures", file, inFolder(path));
    send.disabled = true;
    bar.node.hidden = false;
    fill(result);
    try {
      fill(
        result,
        verdict(await upload("/api/jobs", form, bar.update), () => dialog.close()),
      );
      files = [];
      show();
    } catch (error) {
      if (!(error instanceof Declined)) fill(result, refusal(error));
      send.disabled = false;
    }
    bar.node.hidden = true;
  }

  show();
  if (!send.disabled) send.focus();
}

function verdict(answer, close) {
  return h(
    "div",
    { class: "verdict" },
    h("p", {}, icon("check"), answer.message),
    answer.batch_id
      ? h("p", {}, h("a", { href: toBatch(answer.batch_id), onclick: close }, t("drop.see_batch")))
      : null,
    lines(t("drop.rejected"), answer.rejected),
    lines(t("drop.duplicates"), answer.duplicates),
  );
}

function refusal(error) {
  return h(
    "div",
    { class: "verdict" },
    h("p", { class: "problem-line" }, icon("failed"), error.message),
    error.details?.rejected ? null : h("p", { class: "muted" }, error.hint),
    lines(t("drop.rejected"), error.details?.rejected),
  );
}

function lines(title, rows) {
  if (!rows?.length) return null;
  return h(
    "div",
    { class: "verdict-rows" },
    h("h3", {}, title),
    h(
      "ul",
      {},
      rows.map(({ line, reason }) =>
        h("li", {}, h("b", { class: "num" }, t("drop.line", { n: line })), ` ${reason}`),
      ),
    ),
  );
}
