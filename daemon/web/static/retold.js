// Texts of records are English; those that are known are told in the language of the page, as the
// command line does it (daemon/words/retelling.py).

import { RECORDED } from "./words-records.js";
import { currentLanguage } from "./words.js";

const PLACE = /\{(\w+)\}/g;
const sentences = RECORDED.map(([english, chinese]) => ({
  pattern: matcher(english),
  own: english.replace(PLACE, "").length,
  chinese,
})).sort((one, other) => other.own - one.own);

/** What a sentence looks like when it is filled. */
function matcher(sentence) {
  const plain = sentence.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  return new RegExp(`^${plain.replace(PLACE, "(?<$1>.+?)")}$`, "s");
}

/** Return `text` in the language of the page; what is not known, as a server's own words, as it is. */
export function retold(text) {
  return currentLanguage() === "zh" ? inChinese(text) : text;
}

function inChinese(text) {
  const whole = sentence(text);
  if (whole !== null) return whole;
  const parts = text.split("; ").map((part) => [part, sentence(part)]);
  if (parts.every(([, told]) => told === null)) return text;
  return parts.map(([part, told]) => told ?? part).join("；");
}

function sentence(text) {
  for (const { pattern, chinese } of sentences) {
    const found = pattern.exec(text);
    if (found) return chinese.replace(PLACE, (_, name) => filling(name, found.groups[name]));
  }
  return null;
}

/** `why` is such a sentence itself. */
const filling = (name, text) => (name === "why" ? inChinese(text) : text);
