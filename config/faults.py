"""What is wrong with a setting, or would be right, not yet in a language."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from config.sentences import SENTENCES

#: What fills a placeholder: the same in every language, several names, words by language, or a
#: sentence of its own.
Filling: TypeAlias = "str | tuple[str, ...] | Mapping[str, str] | Fault"

#: Between names of a list, between faults, and what goes around an addition.
_SIGNS = {"zh": ("、", "；", "（由 {} 给出）"), "en": (", ", "; ", " (given by {})")}


class Fault(msgspec.Struct, frozen=True):
    """One sentence of ``config.sentences`` with what fills it."""

    code: str
    values: Mapping[str, Filling] = {}

    def text(self, language: str = "en") -> str:
        """Return the sentence in "zh" or "en", without a full stop."""
        filled = {name: _filled(value, language) for name, value in self.values.items()}
        return SENTENCES[language][self.code].format(**filled)


def fault(code: str, **values: Filling) -> Fault:
    """Return the fault *code* with its values."""
    return Fault(code, values)


def unreadable(error: OSError) -> Fault:
    """Return that a file cannot be read."""
    match error:
        case FileNotFoundError():
            return fault("file_missing")
        case PermissionError():
            return fault("file_denied")
        case IsADirectoryError():
            return fault("file_is_folder")
        case _:
            return fault("file_unreadable", said=error.strerror or type(error).__name__)


def told(faults: Iterable[Fault], language: str = "en", *, given_by: str | None = None) -> str:
    """Return the sentences one after the other, and who gave what is wrong."""
    _, between, given = _SIGNS[language]
    text = between.join(each.text(language) for each in faults)
    return text if given_by is None else text + given.format(given_by)


def _filled(value: Filling, language: str) -> str:
    match value:
        case Fault():
            return value.text(language)
        case tuple():
            return _SIGNS[language][0].join(value)
        case str():
            return value
        case _:
            return value[language]
