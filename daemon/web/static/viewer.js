// The large view: pictures, videos and sound one after another, by arrow keys or buttons.

import { closeButton } from "./close-button.js";
import { h, icon, fill, setText } from "./dom.js";
import { isAudio, isPicture, isVideo, rowName } from "./format.js";
import { inputFile, outputFile } from "./thumb.js";
import { toTask } from "./route.js";
import { t } from "./words.js";

/** What the viewer shows: an address, a file name, a caption, and the task it belongs to. */
export const outputItem = (task, index = 0, caption = rowName(task)) => ({
  src: outputFile(task.task_id, index),
  name: task.output_files?.[index] ?? task.outputs?.[index]?.path ?? "",
  caption,
  taskId: task.task_id,
});
export const inputItem = (task, column, file) => ({
  src: inputFile(task.task_id, column),
  name: file.name,
  caption: `${column} · ${file.name}`,
  taskId: task.task_id,
});

export function openViewer(items, start = 0) {
  let place = start;
  const stage = h("div", { class: "viewer-stage" });
  const caption = h("p", { class: "viewer-caption" });
  const counter = h("span", { class: "viewer-counter" });
  const link = h("a", { class: "button", onclick: () => dialog.close() }, t("viewer.task"));
  const save = h("a", { class: "button" }, t("viewer.save"));
  const step = (by) => show(place + by);
  const dialog = h(
    "dialog",
    {
      class: "viewer",
      "aria-label": t("viewer.label"),
      onkeydown: keys,
      onclick: (event) => event.target === stage && dialog.close(),
    },
    h(
      "header",
      { class: "viewer-head" },
      counter,
      caption,
      link,
      save,
      closeButton(() => dialog.close()),
    ),
    h(
      "button",
      {
        class: "icon-button step back",
        type: "button",
        "aria-label": t("viewer.previous"),
        onclick: () => step(-1),
      },
      icon("left"),
    ),
    stage,
    h(
      "button",
      {
        class: "icon-button step forth",
        type: "button",
        "aria-label": t("viewer.next"),
        onclick: () => step(1),
      },
      icon("right"),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  show(place);

  function keys(event) {
    const to = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: items.length - 1 }[
      event.key
    ];
    if (to === undefined || event.target.tagName === "VIDEO") return;
    event.preventDefault();
    show(to);
  }

  function show(to) {
    place = Math.max(0, Math.min(items.length - 1, to));
    const item = items[place];
    fill(stage, large(item));
    setText(caption, item.caption);
    setText(counter, t("viewer.counter", { n: place + 1, of: items.length }));
    link.setAttribute("href", toTask(item.taskId));
    save.setAttribute("href", item.src);
    save.setAttribute("download", item.name.split("/").pop());
    const next = items[place + 1];
    if (next && isPicture(next.name)) new Image().src = next.src;
  }
}

/** The file itself, at full size. */
export function large(item) {
  if (isVideo(item.name))
    return h("video", {
      src: item.src,
      controls: true,
      loop: true,
      playsinline: true,
      preload: "metadata",
      "aria-label": item.caption,
    });
  if (isAudio(item.name))
    return h("audio", { src: item.src, controls: true, "aria-label": item.caption });
  if (isPicture(item.name)) return h("img", { src: item.src, alt: item.caption });
  return h("a", { class: "button", href: item.src, download: "" }, t("viewer.save"));
}
