"""Reading the ledger from another process, without a lock, while the daemon writes or not."""

from pathlib import Path

import msgspec

from ledger.errors import LedgerDamaged
from ledger.index import Index
from ledger.jsondir import archive
from ledger.jsondir.journal import Line
from ledger.jsondir.journals import JournalPlace, all_journals, may_tell
from ledger.jsondir.loading import Loaded, load
from ledger.jsondir.scan import scan
from ledger.state import State
from ledger.task import Task

#: A journal that moves to the archive while it is looked for is found at the next try.
TRIES = 3


def read_state(path: Path, *, thorough: bool = False) -> State:
    """Return the state after some whole transaction, the newest that can be seen.

    A folder that is not there is an empty ledger. Raises LedgerTooNew. ``damage`` lists what
    cannot be read; with *thorough* also in journals that the state needs no more, for which a
    daemon would dispatch nothing. ``read_index`` answers all questions.
    """
    return read_all(path, thorough=thorough).state


def read_index(path: Path, *, thorough: bool = False) -> Index:
    """Return the same state with the ways into it."""
    return read_all(path, thorough=thorough).index


def read_all(path: Path, *, thorough: bool = False) -> Loaded:
    """Return the same, with what its files looked like."""
    loaded = load(path, thorough=thorough)
    for _ in range(1, TRIES):
        if not loaded.state.damage and loaded.lost_history is None:
            break
        loaded = load(path, thorough=thorough)
    return loaded


def find_task(path: Path, task_id: str) -> Task | None:
    """Return the task from the state or the archive, or None."""
    return read_state(path).tasks.get(task_id) or archive.find(path, task_id)


def history(path: Path, task_id: str) -> list[Line]:
    """Return all lines of the journal that are about the task, oldest first, archived ones too.

    Lines of a transaction that is not wholly there do not count.
    """
    lines: dict[int, Line] = {}
    quoted = msgspec.json.encode(task_id)
    for place in all_journals(path):
        if may_tell(place, quoted):
            lines.update((line.seq, line) for line in _lines_about(place, quoted))
    return [lines[seq] for seq in sorted(lines)]


def _lines_about(place: JournalPlace, quoted: bytes) -> list[Line]:
    try:
        data = place.read()
    except (FileNotFoundError, LedgerDamaged):
        return []  # `ledger verify` tells of it; here the rest is wanted
    wanted = b'"task_id":' + quoted
    if wanted not in data:
        return []
    return [
        line
        for lines in scan(data, place.live.name).transactions
        for line in lines
        if line.task is not None and line.task.startswith(b"{" + wanted)
    ]
