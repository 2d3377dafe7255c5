// Asking the door. Changes carry the token from memory only; reading goes by the session's cookie.

import { askForToken, forgetToken, knownToken } from "./token.js";
import { currentLanguage, t } from "./words.js";

/** A request that was not carried out: what happened, and what to do. */
export class Problem extends Error {
  constructor(status, error) {
    super(error?.message ?? t("problem.unreadable", { status }));
    this.status = status;
    this.code = error?.code ?? "";
    this.hint = error?.hint ?? "";
    this.details = error?.details ?? {};
    const said = error?.translations?.[currentLanguage()];
    if (said) {
      this.message = said.message;
      this.hint = said.hint;
    }
  }
}

/** GET a document; where reading needs the token, it is asked for once. */
export async function read(path, { signal } = {}) {
  for (;;) {
    try {
      return await ask(path, { headers: { "Accept-Language": currentLanguage() }, signal });
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      await askForToken();
    }
  }
}

/** POST a change with the token; asks for it when it is not known or turned away. */
export async function change(path, body = null, { key = newKey() } = {}) {
  for (;;) {
    const token = knownToken() ?? (await askForToken());
    const headers = {
      "Accept-Language": currentLanguage(),
      Authorization: `Bearer ${token}`,
      "Idempotency-Key": key,
    };
    if (body !== null) headers["Content-Type"] = "application/json";
    try {
      return await ask(path, {
        method: "POST",
        headers,
        body: body === null ? null : JSON.stringify(body),
      });
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      forgetToken();
    }
  }
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { message: t("problem.offline"), hint: t("problem.offline.hint") });
  }
  const document = await response.json().catch(() => null);
  if (!response.ok) throw new Problem(response.status, document?.error);
  return document;
}

/** POST a form, telling how much of it is sent; the token as for any change. */
export async function upload(path, form, progress) {
  const key = newKey();
  for (;;) {
    const token = knownToken() ?? (await askForToken());
    try {
      return await send(path, form, token, key, progress);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      forgetToken();
    }
  }
}

function send(path, form, token, key, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far a body is
    request.open("POST", path);
    request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.setRequestHeader("Idempotency-Key", key);
    request.setRequestHeader("Accept-Language", currentLanguage());
    request.responseType = "json";
    request.upload.onprogress = (event) => progress(event.total ? event.loaded / event.total : 0);
    request.onerror = () =>
      reject(new Problem(0, { message: t("problem.offline"), hint: t("problem.offline.hint") }));
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(new Problem(request.status, request.response?.error));
    };
    request.send(form);
  });
}

/** A new key: the same request sent twice under it is carried out once. */
function newKey() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return `page-${Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
