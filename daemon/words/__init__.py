"""Words for people: one catalogue, in the language of the one who reads it.

Subjects have a file each (``cli``, ``actions``, ``web`` …); ``catalogue`` joins them.
"""

from collections.abc import Mapping

from daemon.words.catalogue import CATALOGUE

LANGUAGES = tuple(CATALOGUE)


class Words:
    """The catalogue in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._sentences = CATALOGUE[language]

    def __call__(self, key: str, **values: object) -> str:
        """Return the sentence *key* with its placeholders filled; raises KeyError."""
        return self._sentences[key].format(**values)


def language_of(env: Mapping[str, str], wanted: str = "auto") -> str:
    """Return "zh" or "en": as *wanted*, or by the locale of *env* when that is "auto"."""
    if wanted != "auto":
        return wanted
    named = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((env[name] for name in named if env.get(name)), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def words_of_tables(wanted: str) -> Words:
    """Return the words of tables and alerts: Chinese unless "en" is *wanted*."""
    return Words("en" if wanted == "en" else "zh")
