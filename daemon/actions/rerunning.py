"""Run a batch once more from the beginning: a new batch, linked to the old one."""

import sys
from collections.abc import Generator, Mapping

import msgspec

from daemon.actions.errors import ActionError
from daemon.actions.files import PathOf, gone_files_in_steps
from daemon.actions.ids import new_ids
from daemon.actions.plan import Plan, Planning, Said, View, planned
from daemon.intake.columns import key_of
from daemon.intake.reasons import cut
from daemon.intake.rows import MAX_PRIORITY, SEED_COLUMN, SEED_LIMIT, is_seed, whole_number
from ledger.batch import Batch, BatchStatus
from ledger.statistics import BatchStatistics, StageStatistics, summed
from ledger.task import Dependency, Json, Metadata, Source, Task

#: Columns that make a row what it is; another value means another job file.
_FIXED = frozenset({"row_number", "workflow_type"})
_STAGES = (None, 1, 2)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the new batch is to be like."""

    batch_id: str
    at: str
    stage: int | None = None  # both
    changes: Mapping[str, Json] = {}  # columns with new values; None: take it out
    new_seed: bool = False


class _Chosen(msgspec.Struct):
    """Which tasks are to run anew; a batch may be larger than what memory should hold of it."""

    types: dict[str, str] = {}  # by task id, in order: workflow types
    pictures: set[str] = set()  # columns of pictures in these rows
    left_out: int = 0  # rows that lack a picture


class _Anew(msgspec.Struct):
    """The new tasks, and how many are of stage 1 and 2 of the rows."""

    tasks: list[Task] = []
    by_stage: dict[int, int] = msgspec.field(default_factory=lambda: {1: 0, 2: 0})


def rerun(
    view: View,
    batch_id: str,
    wish: Wish,
    *,
    input_path: PathOf | None = None,
    output_path: PathOf | None = None,
) -> Planning:
    """Record all rows of a batch anew, as *wish* says, whatever became of them.

    Both stages, or one of them: stage 2 alone takes the pictures that the old batch made, and
    only rows that have one. Every row keeps the seed it ran with unless a new one is wished. The
    old batch stays as it is. Raises UnknownRecord, and ActionError for columns that cannot be
    changed, for nothing to run, and, where the paths are given, for files that are gone.
    """
    old = view.batch(batch_id)
    if wish.stage not in _STAGES:
        raise ActionError("rerun_stage", 400, stage=wish.stage)
    wish = msgspec.structs.replace(wish, changes=_keyed(wish.changes))
    chosen = yield from _chosen(view, batch_id, wish.stage)
    if not chosen.types:
        raise ActionError("rerun_nothing", 409, batch=batch_id)
    if wrong := sorted(wish.changes.keys() & chosen.pictures):
        raise ActionError("rerun_picture_column", 400, columns=", ".join(wrong))
    tasks = map(view.task, chosen.types)
    if gone := (yield from gone_files_in_steps(view, tasks, input_path, output_path)):
        raise ActionError("files_gone", 409, files=", ".join(gone))
    anew = yield from _anew(view, chosen, wish)
    return _plan(old, wish, anew, chosen.left_out)


def _plan(old: Batch, wish: Wish, anew: _Anew, left_out: int) -> Plan:
    batch, stands = _batch(old, wish), _all_waiting(anew.by_stage)
    return planned(
        "batch.rerun",
        Said(
            key="action.rerun_in_part" if left_out else "action.rerun",
            values={"batch": batch.batch_id, "rows": stands.rows, "left_out": left_out},
        ),
        batch,
        *anew.tasks,
        evidence={
            "rerun_of": old.batch_id,
            "stage": wish.stage,
            "changes": dict(wish.changes),
            "new_seed": wish.new_seed,
        },
        batch_id=batch.batch_id,
        rerun_of=old.batch_id,
        status=batch.status.value,
        stage=batch.stage,
        left_out=left_out,
        statistics=msgspec.to_builtins(stands),
    )


def _keyed(changes: Mapping[str, Json]) -> dict[str, Json]:
    keyed = {key_of(column): value for column, value in changes.items()}
    if wrong := sorted(keyed.keys() & _FIXED):
        raise ActionError("rerun_column", 400, columns=", ".join(wrong))
    if (seed := keyed.get(SEED_COLUMN)) is not None and not is_seed(seed):
        raise ActionError("rerun_seed", 400, value=cut(str(seed)), limit=SEED_LIMIT - 1)
    priority = whole_number(keyed.get("priority", 0))
    if priority is None or abs(priority) > MAX_PRIORITY:
        raise ActionError("rerun_priority", 400, value=cut(str(keyed["priority"])))
    return keyed | ({"priority": priority} if "priority" in keyed else {})


def _chosen(view: View, batch_id: str, stage: int | None) -> Generator[None, None, _Chosen]:
    """Return the first task of each family that is to run."""
    chosen = _Chosen()
    for task in view.tasks(batch_id):
        yield
        if task.retried_from is not None or stage not in (None, task.row_stage):
            continue
        needed = task.depends_on
        alone = needed is not None and (stage == 2 or needed.row_id != task.row_id)  # noqa: PLR2004 - its number
        if needed is not None and alone and not _has_picture(view, needed):
            chosen.left_out += 1
            continue
        chosen.types[task.task_id] = sys.intern(task.workflow_type)
        chosen.pictures.update(task.inputs)
    return chosen


def _has_picture(view: View, needed: Dependency) -> bool:
    return view.newest_done_of_family(needed.row_id, needed.workflow_type) is not None


def _anew(view: View, chosen: _Chosen, wish: Wish) -> Generator[None, None, _Anew]:
    ids = new_ids(view, list(chosen.types.values()), wish.at)
    anew = _Anew()
    for task, task_id in zip(map(view.task, chosen.types), ids, strict=True):
        again = _again(view, task, task_id, wish)
        anew.tasks.append(again)
        anew.by_stage[again.row_stage] += 1
        yield
    return anew


def _again(view: View, task: Task, task_id: str, wish: Wish) -> Task:
    """Return the task as a new row's, with the id *task_id*."""
    row_id = f"{wish.batch_id}:{task.row_id.rpartition(':')[2]}"
    needed = task.depends_on
    if needed is not None and wish.stage is None and needed.row_id == task.row_id:
        needed = Dependency(row_id=row_id, workflow_type=needed.workflow_type)
    row = _row(view, task, wish)
    names = {
        column: str(row.pop(column) or "")
        for column in ("product_name", "model_name")
        if column in row
    }
    priority = row.pop("priority", task.priority)
    return Task(
        task_id=task_id,
        root_task_id=task_id,
        row_id=row_id,
        batch_id=wish.batch_id,
        row_number=task.row_number,
        product_name=names.get("product_name", task.product_name),
        model_name=names.get("model_name", task.model_name),
        workflow_type=task.workflow_type,
        priority=priority if isinstance(priority, int) else task.priority,
        created_at=wish.at,
        updated_at=wish.at,
        row=row,
        inputs=task.inputs,
        depends_on=needed,
        publish=task.publish.due(),
        metadata=Metadata(
            feishu_row_data=task.metadata.feishu_row_data,
            source=_source(task.metadata.source),
            table_row=task.metadata.table_row,
        ),
    )


def _row(view: View, task: Task, wish: Wish) -> dict[str, Json]:
    """Return the row's columns with the changes, and with the seed it last ran with."""
    row = dict(task.row)
    newest = task
    if task.retry_count:
        newest = view.newest_of_family(task.row_id, task.workflow_type) or task
    if wish.new_seed:
        row.pop(SEED_COLUMN, None)
    elif SEED_COLUMN in newest.parameters:
        row.setdefault(SEED_COLUMN, newest.parameters[SEED_COLUMN])
    row |= wish.changes
    return {column: value for column, value in row.items() if value is not None}


def _source(source: Source | None) -> Source | None:
    """Return where the row came from, without what would make it a duplicate of itself."""
    return source and msgspec.structs.replace(source, fingerprint=None)


def _batch(old: Batch, wish: Wish) -> Batch:
    return Batch(
        batch_id=wish.batch_id,
        name=old.name,
        source=_source(old.source) or old.source,
        status=BatchStatus.RUNNING,
        stage=wish.stage or 1,
        created_at=wish.at,
        updated_at=wish.at,
        rerun_of=old.batch_id,
        options=old.options,
    )


def _all_waiting(by_stage: Mapping[int, int]) -> BatchStatistics:
    return summed({number: StageStatistics(total=n, pending=n) for number, n in by_stage.items()})
