// The admin token: asked once, exchanged for a reading session, kept in memory and nowhere else.

import { openDialog } from "./dialog.js";
import { h, icon } from "./dom.js";
import { t } from "./words.js";

let token = null;
let asking = null;

export const knownToken = () => token;

export function forgetToken() {
  token = null;
}

/** Thrown when somebody closes the question without an answer; nothing was asked of the daemon. */
export class Declined extends Error {}

/** Ask for the token until it is right; several who ask at once share one question. */
export function askForToken() {
  asking ??= question().finally(() => {
    asking = null;
  });
  return asking;
}

function question() {
  return new Promise((resolve, reject) => {
    const field = h("input", {
      id: "token",
      type: "password",
      autocomplete: "current-password",
      required: true,
      spellcheck: "false",
      "aria-describedby": "token-hint token-problem",
    });
    const problem = h("p", { id: "token-problem", class: "problem-line", role: "alert" });
    const submit = h("button", { class: "button primary", type: "submit" }, t("token.use"));
    const form = h(
      "form",
      { method: "dialog", onsubmit: check },
      h("input", {
        class: "visually-hidden", // password managers want to know whose it is
        autocomplete: "username",
        value: "rowkeeper",
        tabindex: "-1",
        "aria-hidden": "true",
      }),
      h("label", { for: "token" }, t("token.label")),
      field,
      h("p", { id: "token-hint", class: "muted" }, t("token.hint")),
      problem,
      h(
        "div",
        { class: "dialog-buttons" },
        h(
          "button",
          { class: "button", type: "button", onclick: () => dialog.close() },
          t("cancel"),
        ),
        submit,
      ),
    );
    const dialog = openDialog(t("token.title"), form, () => reject(new Declined()));
    field.focus();

    async function check(event) {
      event.preventDefault();
      submit.disabled = true;
      const given = field.value.trim();
      const answer = await proved(given);
      submit.disabled = false;
      if (answer.ok) {
        token = given;
        resolve(given);
        dialog.close();
        return;
      }
      problem.replaceChildren(icon("failed"), answer.why);
      field.setAttribute("aria-invalid", "true");
      field.select();
    }
  });
}

async function proved(given) {
  if (!/^[\x21-\x7e]+$/.test(given)) return { ok: false, why: t("token.wrong") };
  try {
    const response = await fetch("/api/session", {
      method: "POST",
      headers: { Authorization: `Bearer ${given}` },
    });
    if (response.ok) return { ok: true };
    return { ok: false, why: response.status === 429 ? t("token.too_often") : t("token.wrong") };
  } catch {
    return { ok: false, why: t("problem.offline") };
  }
}
