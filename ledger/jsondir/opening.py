"""From a snapshot's file to the state and its index, each record decoded once."""

from pathlib import Path

import msgspec

from ledger.batch import Batch
from ledger.errors import LedgerDamaged
from ledger.index import Index
from ledger.jsondir import snapshot
from ledger.jsondir.places import Places, place_of
from ledger.jsondir.snapshot_file import SnapshotFile, UnknownLayout
from ledger.shelf import Shelf, decode_keys, decode_task
from ledger.state import State, empty_sections
from ledger.status import IN_PROCESS_STAGES

_batches = msgspec.json.Decoder(Batch)


class Opened(msgspec.Struct, frozen=True):
    """What a snapshot holds; tasks that are not in process stay in its file."""

    state: State
    index: Index
    places: Places | None = None  # None: it is of an older format, and all of it in memory


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
    places = Places(file.path.parent, file.descriptor(), {}, file.last_seq, 0)
    state = State(tasks=Shelf(places), last_seq=file.last_seq)
    index = Index(state)
    for offset, encoded in file.tasks():
        keys = decode_keys(encoded)
        places.places[keys.task_id] = place_of(keys.stage, encoded, offset)
        if keys.stage in IN_PROCESS_STAGES:
            task = decode_task(encoded)
            state.tasks.put_stored(task)
            index.enter(task)
        else:
            index.enter(keys)
    for _, encoded in file.batches():
        batch = _batches.decode(encoded)
        state.batches[batch.batch_id] = batch
    state.meta = empty_sections() | file.meta()
    places.crc = file.crc
    return Opened(state, index, places)
