"""Concerns as answers tell them; loads no more than a command can afford."""

import msgspec

from daemon.concern import Concern
from daemon.words import Words

_ZH, _EN = Words("zh"), Words("en")


class WarningDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps work from going on, in a sentence that says what a person does about it."""

    code: str
    message: str

    @classmethod
    def of(cls, concern: Concern, words: Words) -> "WarningDocument":
        """Return *concern* in the language of *words*."""
        return cls(code=concern.code, message=concern.text(words))


class BilingualWarning(msgspec.Struct, frozen=True, kw_only=True):
    """The same for all who listen, whatever the language of each."""

    code: str
    zh: str
    en: str

    @classmethod
    def of(cls, concern: Concern) -> "BilingualWarning":
        """Return *concern* in both languages."""
        return cls(code=concern.code, zh=concern.text(_ZH), en=concern.text(_EN))
