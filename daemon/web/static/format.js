// Numbers, times and sizes as people read them, in the language of the page.

import { currentLanguage, t } from "./words.js";

const cache = new Map();

function formatter(kind, options) {
  const key = kind.name + currentLanguage() + JSON.stringify(options);
  if (!cache.has(key)) cache.set(key, new kind(currentLanguage(), options));
  return cache.get(key);
}

export const count = (number) => formatter(Intl.NumberFormat, {}).format(number);
export const share = (number) =>
  formatter(Intl.NumberFormat, { style: "percent", maximumFractionDigits: 0 }).format(number);

/** A moment: the time when it was today, else day and time. */
export function moment(at) {
  if (!at) return "";
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  const time = { hour: "2-digit", minute: "2-digit", hour12: false };
  return formatter(
    Intl.DateTimeFormat,
    today ? time : { month: "short", day: "numeric", ...time },
  ).format(date);
}

export function exactMoment(at) {
  if (!at) return "";
  return formatter(Intl.DateTimeFormat, {
    dateStyle: "medium",
    timeStyle: "medium",
    hour12: false,
  }).format(new Date(at));
}

/** The unit in which so many seconds are best told, and how many seconds it has. */
function unitOf(seconds) {
  if (seconds < 60) return ["seconds", 1];
  if (seconds < 5400) return ["minutes", 60];
  return seconds < 36 * 3600 ? ["hours", 3600] : ["days", 86400];
}

/** A number with one decimal where it is small. */
const few = (number) => (number < 9.95 ? Math.round(number * 10) / 10 : Math.round(number));

/** A span of seconds in the one unit that matters. */
export function span(seconds) {
  const [unit, size] = unitOf(seconds);
  return t(`span.${unit}`, { n: few(seconds / size) });
}

/** When it will be ready, as an honest range: 6–8 min. */
export function eta(range) {
  if (!range) return "";
  const { low_seconds: low, high_seconds: high } = range;
  if (high < 3) return t("eta.soon");
  const [unit, size] = unitOf(high);
  const [from, to] = [low, high].map((seconds) =>
    size === 3600 ? few(seconds / size) : Math.round(seconds / size),
  );
  return from === to
    ? t("eta.about", { span: t(`span.${unit}`, { n: to }) })
    : t("eta.between", { range: t(`span.${unit}`, { n: `${from}–${to}` }) });
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
  return (
    [task.product_name, task.model_name].filter(Boolean).join(" · ") ||
    t("row.unnamed", { n: task.row_number })
  );
}

export const isVideo = (name) => /\.(mp4|webm|mov|mkv|m4v)$/i.test(name ?? "");
export const isPicture = (name) => /\.(png|jpe?g|webp|gif|bmp|avif)$/i.test(name ?? "");
export const isAudio = (name) => /\.(wav|mp3|flac)$/i.test(name ?? "");
