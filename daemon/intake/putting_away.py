"""Putting decided drops away: reports, the move, and what is then written. Blocks; no event loop.

Doing it twice changes nothing, so whatever a crash interrupts is done again from its filing.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from daemon import failpoint
from daemon.intake.columns import clean_text
from daemon.intake.deciding import Change
from daemon.intake.drops import DUPLICATES, REJECTED, sight_of
from daemon.intake.filing import SECTION, Filing, from_text
from daemon.intake.moving import move_into, sync_moves
from daemon.intake.reports import error_report, rows_report, write_report
from daemon.words import Words
from ledger.entry import Meta
from ledger.task import Json

#: Drops whose moves are made to last together.
MOVED_TOGETHER = 64


class PutAway(msgspec.Struct, frozen=True, kw_only=True):
    """How far it went."""

    moved: list[Path]  # where drops lie now that were moved just now
    done: list[str]  # keys of filings that can be forgotten: all of it is on disk
    reports: dict[str, tuple[Path, ...]]  # those that lie there, by key
    unmoved: dict[str, tuple[Filing, OSError]]  # what could not be put away, and why, by key
    unsynced: OSError | None = None  # why nothing can be forgotten


def put_away(filings: Iterable[tuple[str, Filing]], inbox: Path, words: Words) -> PutAway:
    """Write the reports, in the language of *words*, and move the drops, durably.

    Raises nothing: what failed is told, and may be tried again.
    """
    away = PutAway(moved=[], done=[], reports={}, unmoved={})
    for key, filing in filings:
        try:
            away.reports[key] = _write_reports(filing, inbox, words)
            away.moved.extend(_move(filing, inbox))
        except OSError as error:
            away.unmoved[key] = filing, error
        else:
            away.done.append(key)
    try:
        sync_moves(away.moved, inbox)
    except OSError as error:
        return msgspec.structs.replace(away, done=[], unsynced=error)
    return away


def pending_in(records: Mapping[str, Json]) -> dict[str, Filing]:
    """Return what is left to do according to the ledger's *records* of drops, by key."""
    return {key: msgspec.convert(value, Filing) for key, value in records.items()}


def forgetting(keys: Sequence[str]) -> Change | None:
    """Return what is written once these are put away; None when there are none."""
    forgotten = tuple(Meta(section=SECTION, key=key, value=None) for key in keys)
    return Change(records=forgotten, op="drop.filed", actor="inbox") if forgotten else None


def _write_reports(filing: Filing, inbox: Path, words: Words) -> tuple[Path, ...]:
    name = clean_text(from_text(filing.name))
    written: list[Path] = []
    for folder, ending, content in _reports(filing, words):
        failpoint.reach(f"intake.before_report{ending}")
        written.append(write_report(inbox / folder, name, ending, content))
        failpoint.reach(f"intake.after_report{ending}")
    return tuple(written)


def _move(filing: Filing, inbox: Path) -> list[Path]:
    """Return where the drop lies now; nothing when it was moved before, or is another."""
    failpoint.reach("intake.before_move")
    moved: list[Path] = []
    if _is_the_same(filing, inbox):
        moved.append(move_into(inbox / from_text(filing.name), inbox / filing.goes_to))
    failpoint.reach("intake.after_move")
    return moved


def _is_the_same(filing: Filing, inbox: Path) -> bool:
    """Say whether what lies there is what was decided on; it may be gone, or a newer drop."""
    path = inbox / from_text(filing.job or filing.name)
    try:
        if sight_of(path.lstat()) == filing.sight:
            return True
        return filing.sha256 is not None and _sha256(path) == filing.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False


def _reports(filing: Filing, words: Words) -> list[tuple[str, str, bytes]]:
    """Return folder, ending of the name, and content of each report."""
    reports: list[tuple[str, str, bytes]] = []
    if filing.rejected:
        content = rows_report(filing.rejected, filing.headings)
        reports.append((REJECTED, ".rejected.csv", content))
    if filing.duplicates:
        content = rows_report(filing.duplicates, filing.headings)
        reports.append((DUPLICATES, ".duplicates.csv", content))
    if filing.error:
        name = clean_text(from_text(filing.name))
        content = error_report(name, filing.error, filing.decided_at, words)
        reports.append((REJECTED, ".error.txt", content))
    return reports


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
