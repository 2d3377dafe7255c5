"""``ledger repair``: keeps all that is whole, keeps the damaged files aside, lists the rest."""

import gzip
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from ledger.entry import Meta, Transaction
from ledger.errors import LedgerDamaged
from ledger.jsondir import snapshot
from ledger.jsondir.files import Disk
from ledger.jsondir.journal import encode
from ledger.jsondir.journals import JournalPlace, all_journals
from ledger.jsondir.keeper import Keeper, corrupt_name
from ledger.jsondir.loading import REPAIRS, Loaded, Repair, load
from ledger.jsondir.lock import FolderLock
from ledger.jsondir.open_journal import OpenJournal
from ledger.jsondir.scan import scan
from ledger.state import apply
from ledger.timestamps import to_timestamp


class Repaired(msgspec.Struct, frozen=True):
    """What a repair did."""

    kept_aside: list[str]  # names of the damaged files
    lost: list[str]  # what could not be recovered, in words


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
        return _repair(path, disk, at)
    finally:
        lock.drop()


def _repair(path: Path, disk: Disk, at: str) -> Repaired:
    keeper = Keeper(path, disk)
    loaded = load(path)
    kept_aside = [
        name for place in all_journals(path) for name in _mend_journal(place, keeper, disk, at)
    ]
    kept_aside += [
        keeper.set_aside(path / name, at)
        for name in (snapshot.CURRENT, snapshot.PREVIOUS)
        if _is_damaged(path / name)
    ]
    if not loaded.state.damage and not kept_aside:
        return Repaired([], [])
    _write_down(path, disk, loaded, at, kept_aside)
    changes = snapshot.Changes.of(loaded.state)
    keeper.write_snapshot(changes, loaded.state.last_seq, at)
    return Repaired(kept_aside, list(loaded.state.damage))


def _write_down(path: Path, disk: Disk, loaded: Loaded, at: str, kept_aside: list[str]) -> None:
    """Record in the journal itself which changes are lost, so that the gap is known for ever."""
    state, seq = loaded.state, loaded.next_seq
    value = msgspec.to_builtins(Repair(lost=_gaps(path, seq), kept_aside=kept_aside))
    record = Meta(section=REPAIRS, key=at, value=value)
    transaction = Transaction(
        records=(record,), op="ledger.repaired", actor="repair", reason="; ".join(state.damage)
    )
    journal = OpenJournal.begin(disk, path, seq)
    try:
        journal.append(encode(transaction, seq, at).lines)
    finally:
        journal.close()
    apply(state, transaction.records)
    state.last_seq = seq


def _mend_journal(place: JournalPlace, keeper: Keeper, disk: Disk, at: str) -> list[str]:
    """Put the whole transactions of a damaged journal in its place; names what is kept aside."""
    source = place.live if place.live.exists() else place.archived
    try:
        data = place.read()
        found = scan(data, source.name)
    except LedgerDamaged:
        return [keeper.set_aside(source, at)]
    if not found.problems:
        return []
    whole = b"".join(data[start:end] + b"\n" for start, end in found.whole_lines)
    if source == place.archived:
        whole = gzip.compress(whole, 6, mtime=0)
    aside = source.with_name(corrupt_name(source, at))
    disk.write_whole("repair", source, [whole])
    disk.take_place("repair", source, keep=aside)
    return [aside.name]


def _gaps(path: Path, next_seq: int) -> list[tuple[int, int]]:
    """Return the ranges of seqs that the mended journals lack."""
    gaps: list[tuple[int, int]] = []
    expected: int | None = None
    for place in all_journals(path):
        for lines in scan(place.read(), place.live.name).transactions:
            if expected is not None and lines[0].seq > expected:
                gaps.append((expected, lines[0].seq - 1))
            expected = lines[-1].seq + 1
    if expected is not None and expected < next_seq:
        gaps.append((expected, next_seq - 1))
    return gaps


def _is_damaged(path: Path) -> bool:
    try:
        snapshot.read(path.read_bytes())
    except FileNotFoundError:
        return False
    except LedgerDamaged:
        return True
    return False
