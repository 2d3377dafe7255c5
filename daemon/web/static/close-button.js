// The cross that closes what it stands on.

import { h, icon } from "./dom.js";
import { t } from "./words.js";

/** Make the button; `onclick` closes. */
export function closeButton(onclick) {
  return h(
    "button",
    { class: "icon-button", type: "button", "aria-label": t("close"), onclick },
    icon("cross"),
  );
}
