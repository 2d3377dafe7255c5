// Dialogs: a question with its answer, modal, closed by Escape, focus given back.

import { closeButton } from "./close-button.js";
import { h } from "./dom.js";
import { t } from "./words.js";

let number = 0;

/** Show `content` under `title`; `closed` is called once it is gone. */
export function openDialog(title, content, closed = () => {}, kind = "") {
  number += 1;
  const id = `dialog-title-${number}`;
  const dialog = h(
    "dialog",
    { class: `dialog ${kind}`, "aria-labelledby": id },
    h(
      "header",
      { class: "dialog-head" },
      h("h2", { id }, title),
      closeButton(() => dialog.close()),
    ),
    content,
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    closed();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Ask whether to go on. Returns the chosen options of `choices`, or null when the answer is no. */
export function confirm({ title, text, facts = [], choices = [], yes, danger = false }) {
  return new Promise((resolve) => {
    let answer = null;
    const boxes = choices.map((choice) =>
      h("input", {
        type: "checkbox",
        id: `choice-${choice.name}`,
        checked: choice.checked ?? false,
      }),
    );
    const go = h(
      "button",
      { class: `button ${danger ? "danger" : "primary"}`, type: "submit" },
      yes,
    );
    const form = h(
      "form",
      { method: "dialog", onsubmit: decide },
      text ? h("p", {}, text) : null,
      facts.length
        ? h(
            "dl",
            { class: "facts" },
            facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
          )
        : null,
      choices.map((choice, n) =>
        h("label", { class: "choice", for: `choice-${choice.name}` }, boxes[n], choice.label),
      ),
      h(
        "div",
        { class: "dialog-buttons" },
        h(
          "button",
          { class: "button", type: "button", onclick: () => dialog.close() },
          t("cancel"),
        ),
        go,
      ),
    );
    const dialog = openDialog(title, form, () => resolve(answer));
    go.focus();

    function decide(event) {
      event.preventDefault();
      answer = Object.fromEntries(choices.map((choice, n) => [choice.name, boxes[n].checked]));
      dialog.close();
    }
  });
}
