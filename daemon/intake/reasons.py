"""Why something is not taken, in the language of who is told: ``intake.<code>`` of the words."""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from daemon.words import Words

#: What fills a placeholder: text that is the same in every language, or a reason of its own.
Filling: TypeAlias = "str | Reason"


class Reason(msgspec.Struct, frozen=True, gc=False):
    """One sentence, not yet in a language."""

    code: str
    values: dict[str, Filling] = {}

    def text(self, words: Words) -> str:
        """Return the sentence in the language of *words*, without a full stop."""
        filled = {
            name: value.text(words) if isinstance(value, Reason) else value
            for name, value in self.values.items()
        }
        return words(f"intake.{self.code}", **filled)


def because(code: str, **values: Filling) -> Reason:
    """Return the reason *code* with its values."""
    return Reason(code, values)


def joined(reasons: Iterable[Reason], words: Words) -> str:
    """Return the sentences one after the other."""
    return words("intake.and").join(reason.text(words) for reason in reasons)
