"""Why something is not taken, in the language of who is told: ``intake.<code>`` of the words."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from daemon.words import Words

#: What fills a placeholder: text that is the same in every language, words by language, a reason
#: of its own, columns.
Filling: TypeAlias = "str | Mapping[str, str] | Reason | Shown | tuple[Shown, ...]"
#: Characters of a value that a sentence repeats.
_LONGEST = 40


class Shown(msgspec.Struct, frozen=True, gc=False):
    """A column, to be named as the reader of the reason knows it."""

    key: str

    def text(self, words: Words) -> str:
        """Return what the column is called."""
        return words.column(self.key)


class Reason(msgspec.Struct, frozen=True, gc=False):
    """One sentence, not yet in a language."""

    code: str
    values: dict[str, Filling] = {}

    def text(self, words: Words) -> str:
        """Return the sentence in the language of *words*, without a full stop."""
        filled = {name: _filled(value, words) for name, value in self.values.items()}
        return words(f"intake.{self.code}", **filled)


def _filled(value: Filling, words: Words) -> object:
    match value:
        case Reason() | Shown():
            return value.text(words)
        case tuple():
            return [each.text(words) for each in value]
        case _:
            return value


def shown(key: str) -> Shown:
    """Return the column *key* as something that fills a reason."""
    return Shown(key)


def cut(text: str, longest: int = _LONGEST) -> str:
    """Return *text* as somebody wrote it, short enough for a sentence; what is left out shows."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def because(code: str, **values: Filling) -> Reason:
    """Return the reason *code* with its values."""
    return Reason(code, values)


def joined(reasons: Iterable[Reason], words: Words) -> str:
    """Return the sentences one after the other."""
    return words("intake.and").join(reason.text(words) for reason in reasons)
