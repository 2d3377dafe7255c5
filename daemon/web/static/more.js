// The first of many, and a button for more: a year's worth at once would hold the page up.

import { h } from "./dom.js";
import { t } from "./words.js";

const AT_A_TIME = 50;

/** `take(all)` gives those to show now; `update` is called when there are to be more of them. */
export function showMore(update) {
  let shown = AT_A_TIME;
  const onclick = () => {
    shown += AT_A_TIME;
    update();
  };
  const button = h("button", { class: "button", type: "button", onclick }, t("more"));
  return {
    button,
    take(all) {
      button.hidden = all.length <= shown;
      return all.slice(0, shown);
    },
  };
}
