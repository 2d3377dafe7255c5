// The story of a task, as `why` tells it.

import { h } from "./dom.js";
import { exactMoment, moment } from "./format.js";

export function storyList(events) {
  return h(
    "ol",
    { class: "story" },
    events.map((event) =>
      h(
        "li",
        {},
        h(
          "time",
          { class: "muted num", datetime: event.at, title: exactMoment(event.at) },
          moment(event.at),
        ),
        h(
          "div",
          {},
          h("p", {}, event.text, " ", h("span", { class: "muted" }, event.who)),
          (event.because ?? []).map((sentence) => h("p", { class: "muted small" }, sentence)),
        ),
      ),
    ),
  );
}
