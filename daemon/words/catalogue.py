"""Every sentence for people, in Chinese and in English, with the same keys.

A key is ``area.name``; refusals are ``error.<code>.message`` and ``error.<code>.hint``.
"""

from daemon.words import actions, cli, doctor, help, upkeep, web  # noqa: A004 - a subject's name

_SUBJECTS = (cli, help, doctor, actions, upkeep, web)


def _merged(language: str) -> dict[str, str]:
    """Return the sentences of all subjects; a key may stand in one subject only."""
    merged: dict[str, str] = {}
    for subject in _SUBJECTS:
        sentences: dict[str, str] = getattr(subject, language)
        if twice := merged.keys() & sentences.keys():
            raise ValueError(f"{subject.__name__} repeats {sorted(twice)}")
        merged |= sentences
    return merged


CATALOGUE: dict[str, dict[str, str]] = {"zh": _merged("ZH"), "en": _merged("EN")}
