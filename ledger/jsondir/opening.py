"""From a snapshot's file to the state and its index, each record decoded once."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from ledger.batches import Batches, decode_batch_keys
from ledger.errors import LedgerDamaged
from ledger.index import Index
from ledger.jsondir import snapshot
from ledger.jsondir.placed_file import PlacedFile, Spot
from ledger.jsondir.places import Places, SnapshotPlaces
from ledger.jsondir.snapshot_file import SnapshotFile, UnknownLayout
from ledger.jsondir.spots import Spots
from ledger.shelf import Indexed, Shelf, decode_keys, decode_task
from ledger.state import State, empty_sections
from ledger.status import IN_PROCESS_STAGES


class Opened(msgspec.Struct, frozen=True):
    """What a snapshot holds; batches, and tasks that are not in process, stay in its file."""

    state: State
    index: Index
    places: SnapshotPlaces | None = None  # None: it is of an older format, and all of it in memory


def open_snapshot(path: Path) -> Opened:
    """Return what the snapshot *path* holds.

    Raises FileNotFoundError, LedgerDamaged when it is not as it was written, LedgerTooNew.
    """
    try:
        with SnapshotFile(path) as file:
            return _opened(file)
    except UnknownLayout:
        state = snapshot.read(path.read_bytes())
        return Opened(state, Index(state))
    except msgspec.MsgspecError as error:
        raise LedgerDamaged(str(error)) from error


def _opened(file: SnapshotFile) -> Opened:
    placed = PlacedFile(file.path.parent, file.descriptor())
    tasks, batches = Places("task", placed, Spots.none()), Places("batch", placed, Spots.none())
    state = State(tasks=Shelf(tasks), batches=Batches(batches), last_seq=file.last_seq)
    index = Index(state)
    index.enter_all(_placed(file, tasks.spots, state.tasks))
    for offset, encoded in file.batches():
        batch = decode_batch_keys(encoded)
        batch_id = index.kept_batch_id(batch.batch_id)
        batches.spots.put(batch_id, batch.mark, Spot.of(encoded, offset))
        index.enter_batch(batch)
    state.meta = empty_sections() | file.meta()
    return Opened(state, index, SnapshotPlaces(tasks, batches, file.last_seq, file.crc))


def _placed(file: SnapshotFile, spots: Spots, shelf: Shelf) -> Iterator[Indexed]:
    """Note where each task lies, put those in process on the shelf, and yield all of them."""
    for offset, encoded in file.tasks():
        keys = decode_keys(encoded)
        spots.put(keys.task_id, keys.mark, Spot.of(encoded, offset))
        if keys.stage in IN_PROCESS_STAGES:
            task = decode_task(encoded)
            shelf.put_stored(task)
            yield task
        else:
            yield keys
