"""What keeps work from going on and a person can mend: told by `status`, `check` and the page."""

from collections.abc import Mapping

import msgspec

from daemon.words import Words


class Concern(msgspec.Struct, frozen=True, gc=False):
    """One sentence for whoever must act, not yet in a language; it goes when the trouble does."""

    key: str  # of the catalogue: concern.…
    values: Mapping[str, str | Mapping[str, str]] = {}  # words by language

    @property
    def code(self) -> str:
        """What programs tell it by."""
        return self.key.partition(".")[2]

    def text(self, words: Words) -> str:
        """Return the sentence in the language of *words*."""
        return words(self.key, **self.values)
