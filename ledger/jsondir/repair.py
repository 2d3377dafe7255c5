"""``ledger repair``: keeps all that is whole, keeps the damaged files aside, lists the rest."""

import gzip
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import msgspec

from ledger.entry import transaction_of
from ledger.errors import LedgerDamaged
from ledger.jsondir import snapshot
from ledger.jsondir.archive_mending import mend_indexes
from ledger.jsondir.archived_rows import catch_up
from ledger.jsondir.check import archive_problems
from ledger.jsondir.compactor import Compactor
from ledger.jsondir.files import Disk, corrupt_name
from ledger.jsondir.journals import JournalPlace, all_journals
from ledger.jsondir.leaping import counters_above_lost
from ledger.jsondir.loading import Loaded, Repair, covers, known_losses, load
from ledger.jsondir.lock import FolderLock
from ledger.jsondir.open_journal import OpenJournal
from ledger.jsondir.resuming import missing_history, record_of, write_down
from ledger.jsondir.scan import scan
from ledger.timestamps import to_timestamp

Gap: TypeAlias = tuple[int, int]  # seqs, first and last


class Repaired(msgspec.Struct, frozen=True):
    """What a repair did."""

    kept_aside: list[str]  # names of the damaged files
    lost: list[str]  # what could not be recovered, in words
    made_again: list[str] = []  # names of the archive's indexes that lacked tasks
    not_mended: list[str] = []  # what is damaged in the archive and stays so, in words


def repair(path: Path, *, now: Callable[[], datetime], disk: Disk | None = None) -> Repaired:
    """Mend a damaged ledger; afterwards it opens without damage.

    Every transaction with valid checksums is kept. Raises LedgerLocked while a daemon runs. A
    crash in the middle leaves a ledger that can be repaired again.
    """
    if not path.is_dir():
        return Repaired([], [])
    disk = disk or Disk()
    at = to_timestamp(now())
    lock = FolderLock(path, disk)
    lock.take(at)
    try:
        repaired = _repair(path, disk, at)
        not_mended = list(archive_problems(path))
        catch_up(path, disk, forget_gone=True)  # from now on it was told
    finally:
        lock.drop()
    return msgspec.structs.replace(repaired, not_mended=not_mended)


def _repair(path: Path, disk: Disk, at: str) -> Repaired:
    compactor = Compactor(path, disk)
    loaded = load(path)
    made_again = mend_indexes(path, disk, at, loaded.state.tasks)
    places = all_journals(path)
    kept_aside = [
        name
        for place in places
        for name in _mend_journal(place, compactor, disk, at, is_newest=place is places[-1])
    ]
    kept_aside += [
        compactor.set_aside(path / name, at)
        for name in (snapshot.CURRENT, snapshot.PREVIOUS)
        if _is_damaged(path / name)
    ]
    lost, history = _gaps(path, loaded)
    told = [*loaded.state.damage]
    told += [missing_history(gap) for gap in history if not covers(known_losses(loaded.state), gap)]
    if not told and not kept_aside:
        return Repaired([], [], made_again)
    repaired = Repair(lost=lost, history=history, kept_aside=kept_aside)
    transaction = transaction_of(
        record_of(repaired, at),
        *counters_above_lost(path, loaded, lost, at),
        op="ledger.repaired",
        actor="repair",
        reason="; ".join(told),
    )
    journal = OpenJournal.begin(disk, path, loaded.next_seq)
    try:
        write_down(journal, loaded, transaction, at)
    finally:
        journal.close()
    changes = snapshot.Changes.of(loaded.state)
    compactor.write_snapshot(changes, loaded.state.last_seq, at)
    return Repaired(kept_aside, told, made_again)


def _mend_journal(
    place: JournalPlace, compactor: Compactor, disk: Disk, at: str, *, is_newest: bool
) -> list[str]:
    """Put the whole transactions of a damaged journal in its place; names what is kept aside."""
    source = place.live if place.live.exists() else place.archived
    try:
        data = place.read()
        found = scan(data, source.name)
    except LedgerDamaged:
        return [compactor.set_aside(source, at)]
    if not found.problems and (is_newest or not found.torn_bytes):
        if found.torn_bytes:
            disk.cut(source, found.whole_bytes)  # as every writer does with what nobody was told
        return []
    whole = b"".join(data[start:end] + b"\n" for start, end in found.whole_lines)
    if source == place.archived:
        whole = gzip.compress(whole, 6, mtime=0)
    aside = source.with_name(corrupt_name(source, at))
    disk.write_whole("repair", source, [whole])
    disk.take_place("repair", source, keep=aside)
    return [aside.name]


def _gaps(path: Path, loaded: Loaded) -> tuple[list[Gap], list[Gap]]:
    """Return the ranges of seqs that the mended journals lack, from the oldest one's first on.

    The second part are those whose changes the snapshot holds.
    """
    places = all_journals(path)
    gaps: list[Gap] = []
    expected = places[0].first_seq if places else 1
    for place in places:
        for lines in scan(place.read(), place.live.name).transactions:
            if lines[0].seq > expected:
                gaps.append((expected, lines[0].seq - 1))
            expected = lines[-1].seq + 1
    if expected < loaded.next_seq:
        gaps.append((expected, loaded.next_seq - 1))
    base = loaded.base_seq
    lost = [(max(first, base + 1), last) for first, last in gaps if last > base]
    return lost, [(first, min(last, base)) for first, last in gaps if first <= base]


def _is_damaged(path: Path) -> bool:
    try:
        snapshot.read(path.read_bytes())
    except FileNotFoundError:
        return False
    except LedgerDamaged:
        return True
    return False
