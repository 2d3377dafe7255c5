"""Every sentence for people, in Chinese and in English, with the same keys.

A key is ``area.name``; refusals are ``error.<code>.message`` and ``error.<code>.hint``.
"""

from daemon.words import (
    actions,
    alerts,
    cli,
    concerns,
    control,
    doctor,
    failures,
    feishu,
    fields,
    help,  # noqa: A004 - a subject's name
    intake,
    json_text,
    kinds,
    ledger,
    reasons,
    results,
    story,
    system,
    tables,
    upkeep,
    usage,
    web,
    wire,
)

SUBJECTS = (
    alerts,
    cli,
    usage,
    concerns,
    help,
    doctor,
    control,
    story,
    kinds,
    actions,
    intake,
    reasons,
    wire,
    results,
    ledger,
    system,
    failures,
    feishu,
    fields,
    json_text,
    tables,
    upkeep,
    web,
)


def _merged(language: str) -> dict[str, str]:
    """Return the sentences of all subjects; a test sees to it that no key stands in two."""
    merged: dict[str, str] = {}
    for subject in SUBJECTS:
        sentences: dict[str, str] = getattr(subject, language)
        merged |= sentences
    return merged


CATALOGUE: dict[str, dict[str, str]] = {"zh": _merged("ZH"), "en": _merged("EN")}
