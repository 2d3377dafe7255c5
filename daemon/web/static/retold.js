// Texts of records are English; those that are known are told in the language of the page.

import { t } from "./words.js";
import { EN } from "./words-en.js";

const BEGIN = "reason.";
const patterns = Object.entries(EN)
  .filter(([key]) => key.startsWith(BEGIN))
  .map(([key, sentence]) => [key.slice(BEGIN.length), matcher(sentence)]);

/** What a sentence looks like when it is filled. */
function matcher(sentence) {
  const plain = sentence.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  return new RegExp(`^${plain.replace(/\{(\w+)\}/g, "(?<$1>.+?)")}$`, "s");
}

/** Return `text` in the language of the page; what is not known, as a server's own words, as it is. */
export function retold(text) {
  for (const [name, pattern] of patterns) {
    const found = pattern.exec(text);
    if (found) return t(`reason.${name}`, found.groups ?? {});
  }
  return text;
}
