"""Every sentence for people, in Chinese and in English, with the same keys.

A key is ``area.name``; refusals are ``error.<code>.message`` and ``error.<code>.hint``. A subject
is imported when a sentence of its areas is first wanted: a command says few, and starts quickly.
"""

from collections.abc import Collection, Iterator, Mapping
from importlib import import_module

#: The modules beside this one, each with the areas whose sentences it has.
SUBJECTS: dict[str, tuple[str, ...]] = {
    "alerts": ("alert",),
    "cli": (
        "demo", "progress", "unit", "config", "once", "trouble", "servers", "batches", "in_flight",
        "stuck", "tasks", "task", "damage", "column", "status", "stage", "batch", "verify",
        "compact", "repair", "backup", "restore", "submit", "simulate",
    ),
    "usage": ("usage",),
    "concerns": ("concern",),
    "help": ("help", "option"),
    "doctor": ("trouble", "check"),
    "control": ("column", "batch", "help", "option", "error"),
    "story": ("story", "actor"),
    "kinds": ("kind", "request", "publish", "evidence"),
    "actions": ("error", "action"),
    "intake": ("report", "intake"),
    "reasons": ("reason",),
    "wire": ("reason",),
    "results": ("reason",),
    "ledger": ("ledger",),
    "system": ("system",),
    "failures": ("failure",),
    "feishu": ("table",),
    "fields": ("field",),
    "json_text": ("json",),
    "tables": ("column", "table", "outbox"),
    "upkeep": ("stuck", "liveness"),
    "web": ("error", "web", "starting"),
}  # fmt: skip


def area_of(key: str) -> str:
    """Return what stands before the key's first dot."""
    return key.partition(".")[0]


class Sentences(Mapping[str, str]):
    """All sentences in "zh" or "en", by key; a test sees to it that no key stands in two subjects.

    To walk through them, or to ask how many there are, reads every subject.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._read: dict[str, str] = {}  # only ever grows: threads of a daemon look at it too

    def __getitem__(self, key: str) -> str:
        found = self._read.get(key)
        if found is not None:
            return found
        area = area_of(key)
        for subject, areas in SUBJECTS.items():
            if area in areas and key in (sentences := self._of(subject)):
                self._read.update(sentences)
                break
        return self._read[key]

    def __iter__(self) -> Iterator[str]:
        return (key for subject in SUBJECTS for key in self._of(subject))

    def __len__(self) -> int:
        return sum(len(self._of(subject)) for subject in SUBJECTS)

    def among(self, areas: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield the sentences of *areas*, each with its key, in the order of the subjects."""
        for subject, its in SUBJECTS.items():
            if not set(its).isdisjoint(areas):
                pairs = self._of(subject).items()
                yield from (pair for pair in pairs if area_of(pair[0]) in areas)

    def _of(self, subject: str) -> dict[str, str]:
        module = import_module(f"daemon.words.{subject}")
        sentences: dict[str, str] = getattr(module, self._language.upper())
        return sentences


CATALOGUE: dict[str, Sentences] = {"zh": Sentences("zh"), "en": Sentences("en")}


def read_all() -> None:
    """Read every subject now: a daemon must not meet the words of a later installation."""
    for sentences in CATALOGUE.values():
        len(sentences)
