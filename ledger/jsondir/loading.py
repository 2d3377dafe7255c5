"""From files to the state: newest valid snapshot + all later complete transactions.

Reads only, takes no lock, and copes with a writer at work: what it finds is always the state after
some whole transaction.
"""

import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ledger.batches import decode_batch
from ledger.entry import ARCHIVED, Meta, Transaction
from ledger.errors import LedgerDamaged
from ledger.index import Index
from ledger.jsondir import snapshot
from ledger.jsondir.journal import Line
from ledger.jsondir.journals import JournalPlace, all_journals, live_journals
from ledger.jsondir.opening import open_snapshot
from ledger.jsondir.places import SnapshotPlaces
from ledger.jsondir.scan import Scan, scan
from ledger.shelf import decode_keys, id_of_encoded
from ledger.state import State, count_id

REPAIRS = "repairs"


class Loaded(msgspec.Struct):
    """The state and what its files looked like."""

    state: State
    index: Index
    places: SnapshotPlaces | None = None  # of the snapshot
    base_seq: int = 0  # of the snapshot it began with; 0 = none
    base: str | None = None  # its name
    damaged_snapshot: bool = False  # ledger.json is there but not as it was written
    changes: snapshot.Changes = msgspec.field(default_factory=snapshot.Changes)  # since then
    scans: dict[int, Scan] = msgspec.field(default_factory=dict)  # of the journals read
    missing: list[tuple[int, int]] = msgspec.field(default_factory=list)  # seqs first..last
    unreadable: list[str] = msgspec.field(default_factory=list)
    lost_history: tuple[int, int] | None = None  # seqs the snapshot covers, the journal no longer
    next_seq: int = 1
    leap: Transaction | None = None  # to be written before anything else; see ``leaping``


def load(folder: Path, *, thorough: bool = True, up_to: int = sys.maxsize) -> Loaded:
    """Return the state as of seq *up_to* at most.

    *thorough* also proves the journals that the snapshot made superfluous.

    Raises LedgerTooNew.
    """
    with _no_collections():
        loaded = _load_snapshot(folder)
        _add_journals(loaded, folder, thorough=thorough, up_to=up_to)
        _index_changes(loaded)
    _list_damage(loaded)
    return loaded


@contextmanager
def _no_collections() -> Iterator[None]:
    """Keep the garbage collector from walking over records again and again while they load."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _load_snapshot(folder: Path) -> Loaded:
    damaged, words = False, []
    for name in (snapshot.CURRENT, snapshot.PREVIOUS):
        try:
            opened = open_snapshot(folder / name)
        except FileNotFoundError:
            continue
        except LedgerDamaged as error:
            damaged = damaged or name == snapshot.CURRENT
            words.append(snapshot.told(name, error))
            continue
        return Loaded(
            state=opened.state,
            index=opened.index,
            places=opened.places,
            base_seq=opened.state.last_seq,
            base=name,
            damaged_snapshot=damaged,
        )
    state = State()
    return Loaded(state=state, index=Index(state), damaged_snapshot=damaged, unreadable=words)


def _add_journals(loaded: Loaded, folder: Path, *, thorough: bool, up_to: int) -> None:
    base = loaded.base_seq
    places = live_journals(folder)
    if not places or places[0].first_seq > base + 1:
        places = all_journals(folder)
        thorough = False
    loaded.next_seq = base + 1
    for place, following in zip(places, [*places[1:], None], strict=False):
        if not thorough and following is not None and following.first_seq <= base + 1:
            continue
        _add_journal(loaded, place, up_to)
    loaded.next_seq = max(loaded.next_seq, *(place.first_seq for place in places), 1)
    loaded.lost_history = _lost_history(loaded, places[-1] if places else None)


def _add_journal(loaded: Loaded, place: JournalPlace, up_to: int) -> None:
    state = loaded.state
    expected = state.last_seq + 1
    if expected < place.first_seq <= up_to:  # its name alone says that there was something before
        loaded.missing.append((expected, place.first_seq - 1))
        expected = place.first_seq
    try:
        found = scan(place.read(), place.live.name)
    except (LedgerDamaged, FileNotFoundError) as error:
        loaded.unreadable.append(str(error))
        return
    loaded.scans[place.first_seq] = found
    for lines in found.transactions:
        first, last = lines[0].seq, lines[-1].seq
        if last <= state.last_seq or last > up_to:
            continue
        if first > expected:
            loaded.missing.append((expected, first - 1))
        for line in lines:
            _add_line(loaded, line)
        state.last_seq = last
        expected = last + 1
    found.transactions.clear()  # their bytes are kept as changes, if at all
    reached = max(found.last_seq, place.first_seq - 1)  # its name tells, if no line does any more
    loaded.next_seq = max(loaded.next_seq, reached + 1 + found.damaged_lines, state.last_seq + 1)


def _lost_history(loaded: Loaded, newest: JournalPlace | None) -> tuple[int, int] | None:
    """Return the seqs up to the snapshot's that the newest journal has lost from its end.

    A writer never lets that happen: what a snapshot covers was in the journal before. Somebody cut
    or removed the file, which costs no state, only history.
    """
    last = 0
    if newest is not None:
        found = loaded.scans.get(newest.first_seq)
        if found is None or found.problems:
            return None  # that is damage, told as such
        last = max(found.last_seq, newest.first_seq - 1)
    lost = (last + 1, loaded.base_seq)
    known = last >= loaded.base_seq or covers(known_losses(loaded.state), lost)
    return None if known else lost


def _add_line(loaded: Loaded, line: Line) -> None:
    """Note the record of *line* in the changes; tasks reach the state when all lines are read."""
    changes = loaded.changes
    if line.task is not None:
        changes.tasks[id_of_encoded(line.task)] = line.task
    elif line.batch is not None:
        batch = decode_batch(line.batch)
        loaded.index.apply(batch, line.batch)
        changes.add(batch, line.batch)
    elif line.meta is not None:
        if line.meta.section != ARCHIVED:
            loaded.index.apply(line.meta, b"")
        changes.add(line.meta, b"")


def _index_changes(loaded: Loaded) -> None:
    """Bring the tasks up to date, each once, however many changes there were."""
    for task_id, encoded in loaded.changes.tasks.items():
        count_id(loaded.state.meta, task_id)
        if encoded is None:
            loaded.index.apply(Meta(section=ARCHIVED, key=task_id, value=None), b"")
        else:
            loaded.index.apply_encoded(decode_keys(encoded), encoded)


class Repair(msgspec.Struct, frozen=True):
    """What stands in the meta section ``repairs``, under its time.

    A repair leaves it, and an opening that finds the end of the journal gone.
    """

    lost: list[tuple[int, int]] = []  # seqs whose changes nobody has any more
    history: list[tuple[int, int]] = []  # seqs whose changes were in the snapshot of that time
    kept_aside: list[str] = []


def known_losses(state: State, *, history: bool = True) -> list[tuple[int, int]]:
    """Return the ranges of seqs that are lost for good, as the ledger's own records tell.

    Without *history* only those that no snapshot made up for: a state that is built from the
    journals alone lacks the others, and nobody has said so yet.
    """
    ranges: list[tuple[int, int]] = []
    for recorded in state.meta.get(REPAIRS, {}).values():
        repair = msgspec.convert(recorded, Repair)
        ranges.extend(repair.lost)
        if history:
            ranges.extend(repair.history)
    return ranges


def covers(ranges: Iterable[tuple[int, int]], gap: tuple[int, int]) -> bool:
    """Say whether all of *gap* lies in *ranges* (first and last, both included)."""
    first, last = gap
    for low, high in sorted(ranges):
        if low <= first <= high:
            first = high + 1
    return first > last


def _list_damage(loaded: Loaded) -> None:
    known = known_losses(loaded.state, history=False)
    loaded.missing = [gap for gap in loaded.missing if not covers(known, gap)]
    damage = loaded.state.damage
    if loaded.base is not None or loaded.missing or not loaded.state.last_seq:
        damage.extend(loaded.unreadable)  # else the journals gave all of it back
    for found in loaded.scans.values():
        damage.extend(found.problems)
    for first, last in loaded.missing:
        damage.append(f"changes {first} to {last} are missing")
