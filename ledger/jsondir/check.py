"""``ledger verify``: finds whatever on disk is not as it was written, or not lawful.

Reads only; may run beside a daemon at work.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ledger.errors import LedgerDamaged
from ledger.jsondir import archive, snapshot
from ledger.jsondir.archive_index import contents, index_of
from ledger.jsondir.archive_mending import unindexed_tasks
from ledger.jsondir.archived_rows import gone_indexes
from ledger.jsondir.journals import JournalPlace, all_journals
from ledger.jsondir.loading import known_losses
from ledger.jsondir.reader import read_all
from ledger.jsondir.replay import Replay
from ledger.jsondir.resuming import missing_history
from ledger.jsondir.scan import scan
from ledger.state import State
from ledger.status import OPEN_STAGES, STATUS_OF, Stage
from ledger.task import OutputFile, Task

_BLOCK_BYTES = 1024 * 1024


def verify(path: Path, *, outputs_root: Path | None = None) -> list[str]:
    """Return every problem in words, an empty list when there is none.

    Checks checksums, seqs without a gap, whole transactions, legal moves, versions, one open task
    a family, that the snapshot says the same as the journals, and, with *outputs_root* (the
    state_dir that recorded paths are relative to), every output of a done task by its sha256,
    unless retention removed it. A gap that the ledger has on record is no problem any more.
    """
    loaded = read_all(path)
    state = loaded.state
    problems = list(state.damage)
    if loaded.lost_history is not None:
        problems.append(missing_history(loaded.lost_history))
    problems.extend(_snapshot_problems(path, state.damage))
    replay = Replay(known_losses(state))
    places = all_journals(path)
    for place in places:
        problems.extend(_journal_problems(place, replay, is_newest=place is places[-1]))
    problems.extend(replay.problems)
    problems.extend(replay.differences(state))
    problems.extend(archive_problems(path))
    for content in contents(path):
        problems.extend(_archive_index_problems(content, state))
    for task in state.tasks.values():
        problems.extend(_task_problems(task, outputs_root))
    problems.extend(_family_problems(state))
    return list(dict.fromkeys(problems))


def _snapshot_problems(path: Path, told: Sequence[str]) -> Iterator[str]:
    """Tell of damaged snapshots, but of none that was *told* of by who loaded the state."""
    for name in (snapshot.CURRENT, snapshot.PREVIOUS):
        if any(problem.startswith(name) for problem in told):
            continue
        try:
            snapshot.read((path / name).read_bytes())
        except FileNotFoundError:
            continue
        except LedgerDamaged as error:
            yield snapshot.told(name, error)


def _journal_problems(place: JournalPlace, replay: Replay, *, is_newest: bool) -> Iterator[str]:
    try:
        found = scan(place.read(), place.live.name)
    except FileNotFoundError:
        return  # history that was old enough went meanwhile
    except LedgerDamaged as error:
        yield str(error)
        replay.lose_track()
        return
    yield from found.problems
    if found.torn_bytes and not is_newest:
        yield f"{place.live.name}: its last transaction is not whole"
    for lines in found.transactions:
        replay.add(lines)


def archive_problems(path: Path) -> Iterator[str]:
    """Tell of archived tasks that cannot be read; nothing can bring them back."""
    for name in gone_indexes(path):
        yield f"{name} is gone; what was archived there cannot be looked up"
    try:
        for task in archive.every_task(path):
            if task.status is not STATUS_OF[task.stage]:
                yield f"archived task {task.task_id}: status and stage disagree"
    except LedgerDamaged as error:
        yield str(error)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        yield f"the archive of finished tasks cannot be read: {error}"


def _archive_index_problems(content: Path, state: State) -> Iterator[str]:
    """Name an index that lacks tasks; one that a crash left in both places is not lacked."""
    lacked = sum(task.task_id not in state.tasks for task in unindexed_tasks(content))
    if lacked:
        index = index_of(content)
        yield f"{index.name} does not tell of {lacked} tasks that are in {content.name}"


def _task_problems(task: Task, outputs_root: Path | None) -> Iterator[str]:
    if task.status is not STATUS_OF[task.stage]:
        yield f"task {task.task_id}: status {task.status} does not fit stage {task.stage}"
    if task.stage is not Stage.DONE or outputs_root is None:
        return
    for output in task.outputs:
        if (problem := _output_problem(output, outputs_root)) is not None:
            yield f"task {task.task_id}: {problem}"


def _output_problem(output: OutputFile, root: Path) -> str | None:
    if output.path is None or output.sha256 is None:
        return f"output {output.filename} is not recorded as fetched"
    if output.removed_at is not None:
        return None
    path = root / output.path  # an absolute path stays as it is
    try:
        if path.stat().st_size != output.size_bytes:
            return f"output {output.path} has another size than recorded"
        if _sha256(path) != output.sha256:
            return f"output {output.path} has another content than recorded"
    except OSError as error:
        return f"output {output.path} cannot be read: {error.strerror}"
    return None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _family_problems(state: State) -> Iterator[str]:
    open_: dict[tuple[str, str], str] = {}
    for task_id in state.tasks:
        if state.tasks.stage_of(task_id) not in OPEN_STAGES:
            continue
        family = state.tasks.keys_of(task_id).family
        if (other := open_.setdefault(family, task_id)) != task_id:
            yield f"tasks {other} and {task_id} of one row and type are both open"
