"""What the door answers when it does not do what was asked."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from daemon.words.catalogue import CATALOGUE
from daemon.words.retelling import FIELDS, in_language
from daemon.words.values import visible
from ledger.task import Json

LANGUAGES = ("zh", "en")


class Refusal(Exception):
    """A request that is not carried out; nothing was changed.

    ``code`` is a key of the word catalogue (``error.<code>.message`` and ``.hint``), ``values``
    fill its placeholders (words as a map from language to text), ``problems`` name each field that
    is wrong.
    """

    def __init__(
        self,
        code: str,
        status: int,
        *,
        problems: Sequence["FieldProblem"] = (),
        headers: Mapping[str, str] | None = None,
        **values: Json,
    ) -> None:
        super().__init__(f"{code}: {values}")
        self.code = code
        self.status = status
        self.problems = problems
        self.headers = headers or {}
        self.values = values


class FieldProblem(msgspec.Struct, frozen=True):
    """One field of a body or query, and what is wrong with it."""

    field: str
    problem: str  # in English, until it is told

    def told(self, language: str) -> str:
        """Return what is wrong in "zh" or "en"."""
        return in_language(self.problem, language, FIELDS)


class Said(msgspec.Struct, frozen=True):
    """A refusal in one language."""

    message: str
    hint: str


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """Why the request was refused, and what to do; in the asked language, and in each."""

    code: str
    message: str
    hint: str
    translations: dict[str, Said]
    problems: list[FieldProblem] = []
    details: dict[str, Json] = {}


class ErrorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every refusal."""

    success: bool = False
    error: Error


def error_document(
    code: str,
    language: str,
    values: Mapping[str, Json],
    problems: Sequence[FieldProblem] = (),
) -> ErrorDocument:
    """Return the body that says *code* in *language* ("zh" or "en")."""
    translations = {each: _said(code, each, values) for each in LANGUAGES}
    chosen = translations[language]
    return ErrorDocument(
        error=Error(
            code=code,
            message=chosen.message,
            hint=chosen.hint,
            translations=translations,
            problems=[FieldProblem(each.field, each.told(language)) for each in problems],
            details={key: _in_language(value, language) for key, value in values.items()},
        )
    )


def _said(code: str, language: str, values: Mapping[str, Json]) -> Said:
    shown = {key: _shown(_in_language(value, language)) for key, value in values.items()}
    return Said(
        message=_filled(language, f"error.{code}.message", shown) or code,
        hint=_filled(language, f"error.{code}.hint", shown),
    )


def _filled(language: str, key: str, values: Mapping[str, object]) -> str:
    """Return the sentence, empty when the catalogue lacks it: a refusal must still be told."""
    sentence = CATALOGUE[language].get(key, "")
    try:
        return sentence.format(**values)
    except (KeyError, ValueError):
        return sentence


def _in_language(value: Json, language: str) -> Json:
    """Return *value*; of words in each language those of one."""
    return value[language] if isinstance(value, dict) and value.keys() == {*LANGUAGES} else value


def _shown(value: Json) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else visible(value)


@lru_cache(maxsize=64)  # browsers send few kinds, one for each request
def language_wanted(header: str | None, setting: str) -> str:
    """Return "zh" or "en": what *header* (Accept-Language) prefers, else *setting*, else zh."""
    best, weight = "", 0.0
    for part in (header or "").split(","):
        tag, _, quality = part.strip().partition(";")
        language = tag.split("-")[0].strip().lower()
        try:
            q = float(quality.strip().removeprefix("q=")) if quality else 1.0
        except ValueError:
            continue
        if language in LANGUAGES and q > weight:
            best, weight = language, q
    return best or (setting if setting in LANGUAGES else "zh")
