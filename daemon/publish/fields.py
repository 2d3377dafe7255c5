"""What the tasks of a row say in its cells; pure."""

from collections.abc import Mapping, Sequence

from daemon.retrying import FAILURE_CLASSES
from daemon.settle.dependency import Families, why_blocked
from daemon.tables.cells import ResultFile, Value, local_time
from daemon.tables.status import RowStatus, status_word
from daemon.words import Words
from daemon.words.actors import cancelled_by
from daemon.words.retelling import in_language
from ledger.status import OPEN_STAGES, Stage
from ledger.task import OutputFile, Task
from ledger.timestamps import from_timestamp

#: Of an error; a cell must stay readable.
MAX_ERROR_CHARACTERS = 500
_VIDEO_ENDINGS = (".mp4", ".webm", ".mov", ".mkv", ".avi")
#: What 图片是否已处理 and 视频是否已实现 say, in Chinese and English.
_STAGE_WORDS = {Stage.DONE: ("已完成", "done"), Stage.FAILED: ("失败", "failed")}
_NOT_YET = ("否", "no")


def row_status(families: Families, tasks: Sequence[Task]) -> RowStatus:
    """Return how a row stands by the newest task of each of its stages."""
    if any(_goes_on(families, task) for task in tasks):
        return RowStatus.PROCESSING
    stages = {task.stage for task in tasks}
    if Stage.FAILED in stages:
        return RowStatus.FAILED
    if Stage.CANCELLED in stages:
        return RowStatus.CANCELLED
    return RowStatus.DONE if stages == {Stage.DONE} else RowStatus.PROCESSING


def cells_of(
    families: Families,
    tasks: Sequence[Task],
    results: Mapping[str, tuple[ResultFile, ...]],
    words: Words,
) -> dict[str, Value]:
    """Return the cells of a row by column key; *tasks* as in ``row_status``, in their order.

    *results*: by column. Results of an earlier run stay in their cells until there are new ones.
    """
    status = row_status(families, tasks)
    over = status is not RowStatus.PROCESSING
    started = [task.started_at for task in tasks if task.started_at]
    finished = [task.finished_at for task in tasks if task.finished_at]
    cells: dict[str, Value] = {
        "status": status_word(status, words.language),
        "error": _error(tasks, words) if over else None,
        "started_at": _local(min(started)) if started else None,
        "finished_at": _local(max(finished)) if over and finished else None,
        "retry_count": sum(task.retry_number + task.auto_retries for task in tasks),
    }
    cells |= results
    for task in tasks:
        key = "video_done" if task.task_id.startswith("vid_") else "image_done"
        cells[key] = _STAGE_WORDS.get(task.stage, _NOT_YET)[words.language != "zh"]
    return cells


def _local(at: str) -> str:
    return local_time(from_timestamp(at))


def _goes_on(families: Families, task: Task) -> bool:
    return task.stage in OPEN_STAGES and why_blocked(families, task) is None


def _error(tasks: Sequence[Task], words: Words) -> str | None:
    told = [_failure(task, words) for task in tasks if task.stage is Stage.FAILED]
    cancelled = (task.requested_by for task in tasks if task.stage is Stage.CANCELLED)
    told += [cancelled_by(actor, words) for actor in dict.fromkeys(cancelled) if actor]
    return words("intake.and").join(filter(None, told))[:MAX_ERROR_CHARACTERS] or None


def _failure(task: Task, words: Words) -> str:
    """Return why a task failed; the words of a class that we do not know stand alone."""
    said = in_language(task.error_message or "", words.language)
    if task.error_kind not in FAILURE_CLASSES:
        return said
    return words(f"failure.{task.error_kind}", said=said, task=task.task_id)


def output_column(output: OutputFile) -> str:
    """Return the column that a result belongs into."""
    moving = (output.path or output.filename).lower().endswith(_VIDEO_ENDINGS)
    return "output_video" if moving else "output_image"
