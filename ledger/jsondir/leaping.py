"""A ledger that takes the place of a newer one goes on above everything that one may have given.

Ids are written into tables and file names, and change numbers into archived journals: given twice,
they would mean two things, and a row of a table would run a second time.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from ledger.entry import Meta, transaction_of
from ledger.errors import LedgerTooNew
from ledger.jsondir import snapshot
from ledger.jsondir.files import Disk
from ledger.jsondir.loading import Loaded, Repair, load
from ledger.jsondir.mark import CHANGES_AHEAD, IDS_AHEAD, Mark, read_mark
from ledger.jsondir.resuming import record_of

#: Stands in every backup: a ledger that has it was put in its place by hand.
BACKUP_NOTE = "backup.json"
_COUNTERS = "counters"
_NOTHING_ELSE = Repair()


class GivenNumbers(msgspec.Struct, frozen=True):
    """What a ledger that is gone has given: all of *mark*, and at most so many more.

    Whoever cannot read it to its end takes as many more as no day has seen yet: an id in front of
    which a hundred thousand are missing reads as well as any other, one that is given twice has a
    row run twice.
    """

    mark: Mark
    more_ids: int = IDS_AHEAD
    more_changes: int = CHANGES_AHEAD


class Leap(msgspec.Struct, frozen=True):
    """Where a ledger goes on; the numbers between belong to the one that is gone."""

    counters: dict[str, int]
    lost: tuple[int, int] | None  # seqs, first and last


def given_by(folder: Path, mark: Mark | None) -> GivenNumbers:
    """Return what the ledger in *folder* has given, by what can be read of it, and by its mark.

    When all of it is whole, it is known to the last one.
    """
    mark = mark or Mark()
    try:
        loaded = load(folder)
    except (OSError, LedgerTooNew):
        return GivenNumbers(mark)
    seen = Mark().raised(loaded.next_seq - 1, loaded.state.meta.get(_COUNTERS, {}))
    is_whole = loaded.base == snapshot.CURRENT and not loaded.state.damage
    if is_whole and seen.last_seq >= mark.last_seq:
        return GivenNumbers(seen, 0, 0)
    return GivenNumbers(seen.raised(mark.last_seq, mark.counters))


def given_elsewhere(folder: Path, loaded: Loaded) -> GivenNumbers | None:
    """Return what a newer ledger gave that this one was put in the place of by hand, or None.

    It is one when the mark has seen later changes, or when it is a copy of a backup. A damaged
    ledger is left to the repair.
    """
    mark = read_mark(folder)
    is_older = mark is not None and mark.last_seq > loaded.state.last_seq
    is_copy = (folder / BACKUP_NOTE).exists()
    return (
        GivenNumbers(mark or Mark()) if (is_older or is_copy) and not loaded.state.damage else None
    )


def leap(
    loaded: Loaded, given: GivenNumbers, at: str, *, why: str, record: Repair = _NOTHING_ELSE
) -> Leap:
    """Have *loaded* go on above all that is *given*, from now on; its next writer records it.

    *at*: the present moment. Ids are only ever given for the present day, so the reserve is added
    to the counters of today and later days alone. *record*: what else is to be known for ever.
    """
    counters = _counters_above(loaded.state.meta.get(_COUNTERS, {}), given, at)
    first = loaded.state.last_seq + 1
    loaded.next_seq = max(loaded.next_seq, given.mark.last_seq + given.more_changes + 1)
    lost = (first, loaded.next_seq - 1) if first < loaded.next_seq else None
    raised = _records_of(counters)
    for counter in raised:
        loaded.index.apply(counter, b"")
    reason = f"{why}; changes {lost[0]} to {lost[1]} were lost or never made" if lost else why
    repair = msgspec.structs.replace(record, lost=[lost] if lost else [])
    loaded.leap = transaction_of(
        record_of(repair, f"{at} restored"), *raised, op="ledger.restored", reason=reason
    )
    return Leap(counters, lost)


def _counters_above(known: Mapping[str, object], given: GivenNumbers, at: str) -> dict[str, int]:
    today = at[:10].replace("-", "")
    names = {*given.mark.counters, f"img_{today}", f"vid_{today}"}
    above: dict[str, int] = {}
    for name in sorted(names):
        here = known.get(name, 0)
        here = here if isinstance(here, int) else 0
        number = max(here, given.mark.counters.get(name, 0))
        if name.rpartition("_")[2] >= today:
            number += given.more_ids
        if number > here:
            above[name] = number
    return above


def _records_of(counters: Mapping[str, int]) -> list[Meta]:
    return [Meta(section=_COUNTERS, key=key, value=value) for key, value in counters.items()]


def take_over_by_hand(folder: Path, loaded: Loaded, at: str) -> Leap | None:
    """Leap when *folder* was put in the place of a newer one by hand; see ``leap``."""
    given = given_elsewhere(folder, loaded)
    if given is None:
        return None
    return leap(loaded, given, at, why="an older copy was put in the ledger's place by hand")


def spare_ids(folder: Path, loaded: Loaded) -> None:
    """Have a damaged ledger give none of the ids that its lost lines may have given."""
    mark = read_mark(folder) or Mark()
    for counter in _records_of(mark.raised(0, loaded.state.meta[_COUNTERS]).counters):
        loaded.index.apply(counter, b"")


def counters_above_lost(
    folder: Path, loaded: Loaded, lost: Iterable[tuple[int, int]], at: str
) -> list[Meta]:
    """Return the records by which no id is given again that a *lost* change (seqs) may have given.

    What the mark has seen is known from it; each change after it gave one id at most.
    """
    mark = read_mark(folder) or Mark()
    unseen = sum(max(0, last - max(first - 1, mark.last_seq)) for first, last in lost)
    given = GivenNumbers(mark, more_ids=unseen, more_changes=0)
    return _records_of(_counters_above(loaded.state.meta.get(_COUNTERS, {}), given, at))


def forget_backup_note(folder: Path, disk: Disk) -> None:
    """Note that the leap is on record: the folder is no copy any more."""
    if (folder / BACKUP_NOTE).exists():
        disk.remove("backup_note", folder / BACKUP_NOTE)
