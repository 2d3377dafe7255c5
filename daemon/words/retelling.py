"""Texts that were written in one language, told in the reader's: the sentence is found again. Pure.

What is no sentence of the catalogue stays as it was written.
"""

import os
import re
import string
from collections import defaultdict
from collections.abc import Iterator
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
#: A sentence with two semicolons has three parts and what stands between.
_MOST_PIECES = 5
#: Placeholders that hold sentences, or parts of some.
_NESTED = {"why", "where", "kind"}
#: Placeholders of sentences that stand among others, which hold no two of these.
_WITHIN_ONE = {"name", "first", "last"}


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
    sentences = list(_sentences(text, language, among))
    if all(retold is None for _, retold in sentences):
        return text
    between = "；" if language == "zh" else "; "
    return between.join(retold or written for written, retold in sentences)


def _sentences(
    text: str, language: str, among: tuple[str, ...]
) -> Iterator[tuple[str, str | None]]:
    """Yield each sentence of *text* as it is written, and retold if it is known.

    A semicolon parts two sentences, or stands within one.
    """
    pieces = re.split("(; |；)", text)  # and what parts them
    while pieces:
        for count in range(min(len(pieces), _MOST_PIECES), 0, -2):
            written = "".join(pieces[:count])
            retold = _retold(written, language, among)
            if retold is not None:
                break
        yield written, retold
        del pieces[: count + 1]


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
    text = "".join(re.escape(literal) + _placeholder(field) for literal, field in parts)
    own = sum(len(literal) for literal, _ in parts)
    return own, _Pattern(key, parts[0][0], re.compile(text, re.DOTALL))


def _placeholder(field: str | None) -> str:
    if field is None:
        return ""
    character = "(?:(?!; |；).)" if field in _WITHIN_ONE else "."
    return f"(?P<{field}>{character}+?)"
