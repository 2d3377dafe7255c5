// What went into a task and what came out of it, side by side.

import { h } from "./dom.js";
import { bytes, isVideo } from "./format.js";
import { inputThumb, outputThumb, picture } from "./thumb.js";
import { inputItem, large, openViewer, outputItem } from "./viewer.js";
import { t, tr } from "./words.js";

/** Inputs and outputs side by side; each opens the large view, in which arrow keys move. */
export function taskFiles(task) {
  const inputs = Object.entries(task.inputs);
  const ready = task.outputs
    .map((output, index) => ({ output, index }))
    .filter(({ output }) => output.sha256);
  const items = [
    ...inputs.map(([column, file]) => inputItem(task, column, file)),
    ...ready.map(({ output, index }) =>
      outputItem(
        { ...task, output_files: task.outputs.map((each) => each.path) },
        index,
        output.path.split("/").pop(),
      ),
    ),
  ];
  const tile = (thumb, place, { label, name, size, video }) =>
    h(
      "figure",
      {},
      h(
        "button",
        {
          class: "tile",
          type: "button",
          "aria-label": t("row.view", { name: label ?? name }),
          onclick: () => openViewer(items, place),
        },
        picture(thumb, "", { video }),
      ),
      h(
        "figcaption",
        {},
        label ? h("span", {}, label) : null,
        h("span", { class: "muted file-name", title: name }, name),
        h("span", { class: "muted num" }, bytes(size)),
      ),
    );
  const first = items[inputs.length];
  return h(
    "div",
    { class: "in-and-out" },
    h(
      "section",
      { class: "card" },
      h("h2", {}, t("task.inputs")),
      inputs.length
        ? h(
            "div",
            { class: "tiles" },
            inputs.map(([column, file], n) =>
              tile(inputThumb(task.task_id, column), n, {
                label: tr(`column.${column}`, column),
                name: file.name,
                size: file.size_bytes,
              }),
            ),
          )
        : h("p", { class: "empty" }, t("none")),
    ),
    h(
      "section",
      { class: "card" },
      h("h2", {}, t("task.outputs")),
      first
        ? h(
            "div",
            { class: "result" },
            isVideo(first.name)
              ? large(first)
              : h(
                  "button",
                  {
                    class: "result-button",
                    type: "button",
                    "aria-label": t("row.view", { name: first.caption }),
                    onclick: () => openViewer(items, inputs.length),
                  },
                  large(first),
                ),
          )
        : h("p", { class: "empty" }, t(task.finished_at ? "none" : "task.no_outputs")),
      ready.length > 1
        ? h(
            "div",
            { class: "tiles" },
            ready.map(({ output, index }, n) =>
              tile(outputThumb(task.task_id, index), inputs.length + n, {
                name: output.path.split("/").pop(),
                size: output.size_bytes,
                video: isVideo(output.path),
              }),
            ),
          )
        : null,
      ready.length ? h("p", { class: "muted small path" }, task.output_files.join(", ")) : null,
    ),
  );
}
