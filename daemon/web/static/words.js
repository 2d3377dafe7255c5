// The words of the page, in the language of the one who reads it.

import { EN } from "./words-en.js";
import { ZH } from "./words-zh.js";

const CATALOGUES = { zh: ZH, en: EN };
const KEPT = "rowkeeper.language";

let language = "zh";
let words = ZH;

/** Choose the language kept from last time, else the browser's. */
export function initLanguage() {
  const wanted =
    localStorage.getItem(KEPT) ??
    (navigator.languages ?? [navigator.language]).find((tag) => /^(zh|en)\b/i.test(tag)) ??
    "zh";
  use(wanted.slice(0, 2).toLowerCase());
}

export function setLanguage(name) {
  localStorage.setItem(KEPT, name);
  use(name);
}

function use(name) {
  language = name in CATALOGUES ? name : "zh";
  words = CATALOGUES[language];
  document.documentElement.lang = language;
}

export const currentLanguage = () => language;

/**
 * Return the sentence `key` with its {placeholders} filled; an unknown key shows itself.
 * {n|row|rows} is the first word where n is 1, else the second.
 */
export function t(key, values = {}) {
  const sentence = words[key] ?? key;
  return sentence.replace(/\{(\w+)(?:\|(\w+)\|(\w+))?\}/g, (whole, name, one, many) => {
    if (!(name in values)) return whole;
    if (one === undefined) return values[name];
    return String(values[name]) === "1" ? one : many;
  });
}

/** Return the sentence `key`, or `otherwise` when the catalogue lacks it. */
export function tr(key, otherwise = "") {
  return words[key] ?? otherwise;
}
