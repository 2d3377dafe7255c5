"""What can go wrong with a table as a whole, by what follows from it.

TableError
├── Unreachable    it does not answer, or answers nonsense: heals by itself, tried again later
├── InUse          somebody has it open, or writes it now: heals by itself, tried again later
├── Misconfigured  a person must act (heading, permission, address): paused, looked at now and then
├── OutOfQuota     no more calls may be made before a known moment
└── Refused        ``upload`` and ``fetch`` only: this file will never be taken or given

What else is wrong with one row only is no error but an ``Outcome`` or one of a row's ``problems``.
"""

from collections.abc import Mapping
from typing import Self, TypeAlias

import msgspec

from daemon.words import Words
from daemon.words.retelling import SYSTEM, in_each_language, of_system

#: What fills a placeholder, the same in every language: a name, or several.
Filling: TypeAlias = str | tuple[str, ...]
#: Words in every language, by language.
Phrase: TypeAlias = Mapping[str, Filling]


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, for a person: ``table.<code>`` of the word catalogue, its values filled in.

    The sentence says what is wrong and which setting or click mends it.
    """

    code: str
    values: Mapping[str, Filling] = {}
    phrases: Mapping[str, Phrase] = {}  # values that are words

    def text(self, words: Words) -> str:
        """Return the sentence in the language of *words*."""
        phrases = {name: said[words.language] for name, said in self.phrases.items()}
        return words(f"table.{self.code}", **self.values, **phrases)


def said_by(error: OSError) -> Phrase:
    """Return what the system says, for ``phrases``."""
    return in_each_language(of_system(error), SYSTEM)


class TableError(Exception):
    """Root of all errors of a table; ``trouble`` is the sentence for a person."""

    retry_after_seconds: float | None = None  # the table's own word on it, if any

    def __init__(self, code: str, **values: Filling) -> None:
        self.trouble = Trouble(code=code, values=values)
        super().__init__(self.trouble.text(Words("en")))

    @classmethod
    def of(cls, trouble: Trouble, *, retry_after_seconds: float | None) -> Self:
        """Return the error for a trouble that is known."""
        in_english = {name: said["en"] for name, said in trouble.phrases.items()}
        error = cls(trouble.code, **trouble.values, **in_english)
        error.trouble = trouble
        error.retry_after_seconds = retry_after_seconds
        return error


class Unreachable(TableError):
    """The table cannot be read or written just now."""


class InUse(TableError):
    """Somebody else has the table open for writing, or a write of theirs is under way."""


class Misconfigured(TableError):
    """Nothing gets better until a person changes the table, its permissions or the settings."""


class OutOfQuota(TableError):
    """No calls are left; ``retry_after_seconds`` tells for how long."""


class Refused(TableError):
    """The document will never take this file, or never give it."""
