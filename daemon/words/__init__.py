"""Words for people: one catalogue, in the language of the one who reads it.

Subjects have a file each (``cli``, ``actions``, ``web`` …); ``catalogue`` joins them. Who reads
decides the language (``language`` is the setting: "zh", "en", or "auto", its default):

- The command line, `check` and progress: ``language``, else the locale (``language_of``); also what
  is wrong with settings, whose sentences are in ``config.sentences``. Its help: the locale, for
  no settings are known by then.
- Answers and refusals by HTTP: what ``Accept-Language`` asks for, else ``language``, else Chinese;
  a refusal bears both in ``translations``. The page: what was chosen there, else the browser's;
  its own words are in ``web/static/words-*.js``.
- What is written for many: cells of tables, headings and options that are created in them, the
  reports in the inbox (``.rejected.csv``, ``.duplicates.csv``, ``.error.txt``), alerts: Chinese
  unless ``language`` is "en" (``words_of_tables``). Of a table's columns and options those that it
  has are named and used, in whatever language they are.
- Logs, the journal, texts in records of the ledger (``error_message``, ``blocked_by``) and
  exceptions: English always, made by the entry of the catalogue that has the Chinese
  (``recorded``). Whoever shows them to a person has them retold (``retelling``); what ComfyUI and
  Feishu said stays as it is.
- Data is no language: the values of ``status`` and ``workflow_type`` in records and JSON, column
  keys, codes, names of settings.
"""

from collections.abc import Mapping

from daemon.words.catalogue import CATALOGUE
from daemon.words.headings import SHOWN
from daemon.words.retelling import SYSTEM, in_language, of_system

LANGUAGES = tuple(CATALOGUE)
#: Values of these types, as most are of, fill a placeholder as they are.
_PLAIN = frozenset({str, int, float})
#: Between the names of a list.
_BETWEEN = {"zh": "、", "en": ", "}


class Words:
    """The catalogue in one language.

    ``headings``: what columns are called, by key, for sentences that name some; in the language
    itself, but for those that a table calls otherwise.
    """

    def __init__(self, language: str, headings: Mapping[str, str] | None = None) -> None:
        self.language = language
        self.headings = {**SHOWN[language], **(headings or {})}
        self._own = headings
        self._sentences = CATALOGUE[language]

    def __call__(self, key: str, **values: object) -> str:
        """Return the sentence *key* with its placeholders filled; raises KeyError."""
        for name, value in values.items():
            if type(value) not in _PLAIN:
                values[name] = self._filled(value)
        return self._sentences[key].format(heading=self.headings, **values)

    def _filled(self, value: object) -> object:
        """Return what fills a placeholder: of a list its items, of words in each language ours.

        Of an error of the system what the system says, as far as we know it in our language.
        """
        match value:
            case OSError():
                return in_language(of_system(value), self.language, SYSTEM)
            case dict():
                return self._filled(value[self.language])
            case list() | tuple():
                return _BETWEEN[self.language].join(map(str, value))
            case _:
                return value

    def named(self, area: str, code: str) -> str:
        """Return what people call the *code* of a record; one that is not known stays as it is."""
        return self._sentences.get(f"{area}.{code}", code)

    def column(self, key: str) -> str:
        """Return how a reason names a column: as its table does, else by heading and key."""
        heading = self.headings.get(key)
        if heading is None or heading == key:
            return f"“{key}”"
        return f"{heading} ({key})" if heading == SHOWN[self.language].get(key) else f"“{heading}”"

    def into(self, language: str) -> "Words":
        """Return the words in another language, columns called by the same names."""
        return Words(language, self._own)

    def about(self, headings: Mapping[str, str]) -> "Words":
        """Return the same words for a table that calls its columns so, by key."""
        return Words(self.language, headings)


def in_each_language(key: str) -> dict[str, str]:
    """Return a sentence without placeholders in every language, to fill another one's."""
    return {language: CATALOGUE[language][key] for language in LANGUAGES}


def language_of(env: Mapping[str, str], wanted: str = "auto") -> str:
    """Return "zh" or "en": as *wanted*, or by the locale of *env* when that is "auto"."""
    if wanted != "auto":
        return wanted
    named = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((env[name] for name in named if env.get(name)), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def words_of_tables(wanted: str) -> Words:
    """Return the words of tables, reports and alerts: Chinese unless "en" is *wanted*."""
    return Words("en" if wanted == "en" else "zh")
