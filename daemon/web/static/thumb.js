// The small picture of a task: its first result, else its first input.

import { h } from "./dom.js";
import { isVideo } from "./format.js";

/** Where the small picture of a row lies, or null when it has none. */
export function thumbOf(task) {
  if (task.outputs_count) return `/thumbs/${task.task_id}/0`;
  const column = task.inputs?.[0];
  return column ? inputThumb(task.task_id, column) : null;
}

export const outputThumb = (taskId, index) => `/thumbs/${taskId}/${index}`;
export const inputThumb = (taskId, column) =>
  `/thumbs/${taskId}/inputs/${encodeURIComponent(column)}`;
export const outputFile = (taskId, index) => `/outputs/${taskId}/${index}`;
export const inputFile = (taskId, column) => `/inputs/${taskId}/${encodeURIComponent(column)}`;

/** A picture that keeps its place while it loads, and when it cannot be shown. */
export function picture(src, alt, { video = false, eager = false } = {}) {
  const image = src
    ? h("img", {
        src,
        alt,
        loading: eager ? "eager" : "lazy",
        decoding: "async",
        onerror: () => box.classList.add("gone"),
      })
    : null;
  const box = h("span", { class: `thumb ${video ? "is-video" : ""} ${src ? "" : "gone"}` }, image);
  return box;
}

/** A tile for a result among others. */
export function resultTile(task, alt) {
  return picture(outputThumb(task.task_id, 0), alt, { video: isVideo(task.output_files?.[0]) });
}
