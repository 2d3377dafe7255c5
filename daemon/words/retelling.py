"""Texts that were written in one language, told in the reader's: the sentence is found again. Pure.

What is no sentence of the catalogue stays as it was written.
"""

import os
import re
import string
from collections import defaultdict
from functools import cache
from typing import NamedTuple

from daemon.words.catalogue import CATALOGUE, area_of
from daemon.words.former import FORMER

#: Areas of the catalogue. What the system says.
SYSTEM = ("system",)
#: Sentences that are written into records: those of ``reasons``, and why a task is stuck.
RECORDS = ("reason", "stuck", *SYSTEM)
#: What the ledger says of itself, and who holds it.
LEDGER = ("ledger", *SYSTEM)
#: Why something cannot be stored: our disk or the ledger does not take it.
OBSTACLES = (*RECORDS, *LEDGER)
#: Why a text is no JSON.
JSON = ("json",)
#: Why something was not taken, as a report in the inbox says it in the language of reports.
REPORTS = ("intake", *JSON, *SYSTEM)
#: What click says of a call.
USAGE = ("usage",)
#: What a field may hold.
FIELDS = ("field",)
#: Stands for what only the other language tells, such as a library's own words.
_UNTOLD = "…"
#: Longer texts are told as they are: somebody else's, and not worth looking through.
_MAX_CHARACTERS = 1000
#: Placeholders that hold sentences, or parts of some.
_NESTED = {"why", "where", "kind"}


class _Pattern(NamedTuple):
    key: str
    beginning: str  # of what it matches: most texts are told apart by it
    matches: re.Pattern[str]


def in_language(text: str, language: str, among: tuple[str, ...] = RECORDS) -> str:
    """Return *text* in "zh" or "en", as far as its sentences are known *among* these areas."""
    if not text or len(text) > _MAX_CHARACTERS:
        return text
    whole = _retold(text, language, among)
    if whole is not None:
        return whole
    between = "；" if language == "zh" else "; "
    parts = re.split("; |；", text)
    retold = [_retold(part, language, among) for part in parts]
    if not any(retold):
        return text
    return between.join(new or old for new, old in zip(retold, parts, strict=True))


def in_each_language(text: str, among: tuple[str, ...] = RECORDS) -> dict[str, str]:
    """Return *text* in every language, to fill a sentence with it."""
    return {language: in_language(text, language, among) for language in CATALOGUE}


def of_system(error: OSError) -> str:
    """Return in English what the system says of an error, without the path or address it met."""
    if isinstance(error, ConnectionError) and error.errno is not None:  # asyncio has its own words
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


def _retold(text: str, language: str, among: tuple[str, ...]) -> str | None:
    for pattern in _patterns("en" if language == "zh" else "zh", among):
        if text.startswith(pattern.beginning) and (found := pattern.matches.fullmatch(text)):
            values = found.groupdict()
            for name in _NESTED & values.keys():
                values[name] = in_language(values[name], language, among)
            return CATALOGUE[language][pattern.key].format_map(defaultdict(_untold, values))
    return None


def _untold() -> str:
    return _UNTOLD


def written(language: str, among: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the sentences that may have been written in a language, each with its key."""
    found = [*CATALOGUE[language].among(among)]
    if language == "en":
        former = [key for key in FORMER if area_of(key) in among]
        found += [(key, text) for key in former for text in FORMER[key]]
    return found


@cache
def _patterns(language: str, among: tuple[str, ...]) -> list[_Pattern]:
    """Return what sentences look like in a language, those with most text of their own first."""
    found = [_pattern(key, text) for key, text in written(language, among)]
    return [pattern for _, pattern in sorted(found, key=lambda each: -each[0])]


def _pattern(key: str, sentence: str) -> tuple[int, _Pattern]:
    """Return how much text a sentence has of its own, and what it looks like when filled."""
    parts = [(literal, field) for literal, field, _, _ in string.Formatter().parse(sentence)]
    text = "".join(
        re.escape(literal) + (f"(?P<{field}>.+?)" if field else "") for literal, field in parts
    )
    own = sum(len(literal) for literal, _ in parts)
    return own, _Pattern(key, parts[0][0], re.compile(text, re.DOTALL))
