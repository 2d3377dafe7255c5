// Numbers, times and sizes as people read them, in the language of the page.

import { currentLanguage, t } from "./words.js";

const cache = new Map();

function formatter(kind, options) {
  const key = kind.name + currentLanguage() + JSON.stringify(options);
  if (!cache.has(key)) cache.set(key, new kind(currentLanguage(), options));
  return cache.get(key);
}

export const count = (number) => formatter(Intl.NumberFormat, {}).format(number);
export const share = (number) => formatter(Intl.NumberFormat, { style: "percent", maximumFractionDigits: 0 }).format(number);

/** A moment: the time when it was today, else day and time. */
export function moment(at) {
  if (!at) return "";
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  const time = { hour: "2-digit", minute: "2-digit", hour12: false };
  return formatter(Intl.DateTimeFormat, today ? time : { month: "short", day: "numeric", ...time }).format(date);
}

export function exactMoment(at) {
  if (!at) return "";
  return formatter(Intl.DateTimeFormat, { dateStyle: "medium", timeStyle: "medium", hour12: false }).format(new Date(at));
}

/** A span of seconds in the one or two units that matter. */
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return t("span.seconds", { n: s });
  if (s < 5400) return t("span.minutes", { n: Math.round(s / 60) });
  const hours = s / 3600;
  if (hours < 36) return t("span.hours", { n: hours < 10 ? Math.round(hours * 10) / 10 : Math.round(hours) });
  return t("span.days", { n: Math.round(hours / 24) });
}

/** When it will be ready, as an honest range. */
export function eta(range) {
  if (!range) return "";
  const low = span(range.low_seconds);
  const high = span(range.high_seconds);
  if (range.high_seconds < 3) return t("eta.soon");
  return low === high ? t("eta.about", { span: low }) : t("eta.between", { low, high });
}

export function bytes(size) {
  if (size === null || size === undefined) return "";
  const units = ["B", "KB", "MB", "GB"];
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size < 10 && unit ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** What a row is about, in one line. */
export function rowName(task) {
  return [task.product_name, task.model_name].filter(Boolean).join(" · ") || t("row.unnamed", { n: task.row_number });
}

export const isVideo = (name) => /\.(mp4|webm|mov|mkv|m4v)$/i.test(name ?? "");
export const isPicture = (name) => /\.(png|jpe?g|webp|gif|bmp|avif)$/i.test(name ?? "");
export const isAudio = (name) => /\.(wav|mp3|flac)$/i.test(name ?? "");
