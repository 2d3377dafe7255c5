"""Tasks: lists, one in full, retry, cancel."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec

from daemon.actions import tasks
from daemon.actions.plan import Plan
from daemon.story.documents import Story
from daemon.story.telling import story_of
from daemon.web.asked import RetryBody, TaskQuery
from daemon.web.decoding import Nothing
from daemon.web.endpoint import Call
from daemon.web.listing import newest_of, page_of
from daemon.web.paging import Wanted
from daemon.web.performing import now, perform
from daemon.web.refusal import Refusal
from daemon.web.task_documents import Change, HistoryDocument, TaskDocument, TaskPage
from daemon.web.views import change, stages_named, task_document
from ledger.archiving import oldest_first
from ledger.errors import UnknownRecord
from ledger.ledger import Ledger
from ledger.task import Json, Task

B = TypeVar("B", bound=msgspec.Struct)


async def list_tasks(call: Call[TaskQuery, Nothing]) -> TaskPage:
    """Answer a page of the tasks that match."""
    query = call.query
    wanted = Wanted(
        stages=stages_named(query.status), batch_id=query.batch, workflow_type=query.type
    )
    if query.newest:
        page = await newest_of(call.desk.ledger, wanted, query.limit)
    else:
        page = await page_of(call.desk.ledger, wanted, query.limit, query.cursor)
    return TaskPage(page.tasks, page.next_cursor)


async def show_task(call: Call[Nothing, Nothing]) -> TaskDocument:
    """Answer one task in full; archived ones too."""
    ledger = call.desk.ledger
    task = await ledger.task_or_archived(call.id("task_id"))
    row = await _row_of(ledger, task)
    family = [each for each in row if each.family == task.family]
    gpu_seconds = sum(each.gpu_seconds or 0.0 for each in row if each.finished_at)
    return task_document(task, family, await _history(call), round(gpu_seconds, 3))


async def _row_of(ledger: Ledger, task: Task) -> list[Task]:
    """Return all tasks of the row of *task*, oldest first; they go to the archive together."""
    kept = ledger.index.row(task.row_id)
    if task.task_id in kept:
        return oldest_first(map(ledger.index.task, kept))
    archived = await ledger.find_all_archived((), {task.row_id})
    return oldest_first(archived.tasks.values())


async def show_history(call: Call[Nothing, Nothing]) -> HistoryDocument:
    """Answer every change of a task."""
    await call.desk.ledger.task_or_archived(call.id("task_id"))
    return HistoryDocument(await _history(call))


async def tell_story(call: Call[Nothing, Nothing]) -> Story:
    """Answer what happened to a task, in sentences of the asked language."""
    task, words = await call.desk.ledger.task_or_archived(call.id("task_id")), call.words
    lines = await asyncio.to_thread(call.desk.history, task.task_id)
    return story_of(task, lines, words)


async def retry(call: Call[Nothing, RetryBody]) -> dict[str, Json]:
    """Make a new task for the row of a failed or cancelled one."""
    desk, copy_files = call.desk, call.body.copy_files
    return await _perform(
        call,
        lambda: tasks.retry(
            desk.ledger,
            call.id("task_id"),
            copy_files=copy_files,
            at=now(call),
            input_path=desk.input_path,
            output_path=desk.output_path,
        ),
    )


async def retry_execution(call: Call[Nothing, RetryBody]) -> dict[str, Json]:
    """Do the same for a task named by its batch."""
    task = await call.desk.ledger.task_or_archived(call.id("task_id"))
    if task.batch_id != call.id("batch_id"):
        call.desk.ledger.batch(call.id("batch_id"))
        raise Refusal("unknown_task", 404, id=task.task_id)
    return await retry(call)


async def cancel(call: Call[Nothing, Nothing]) -> dict[str, Json]:
    """End a task at the operator's wish."""
    view = call.desk.ledger
    return await _perform(call, lambda: tasks.cancel(view, call.id("task_id"), at=now(call)))


async def _perform(call: Call[Nothing, B], decide: Callable[[], Plan]) -> dict[str, Json]:
    """Carry out what *decide* plans for a task; an archived one is refused with its own reason."""
    try:
        return await perform(call, decide)
    except UnknownRecord:
        if await call.desk.ledger.find_archived(call.id("task_id")) is None:
            raise
    raise Refusal("task_archived", 409, id=call.id("task_id"))


async def _history(call: Call[Nothing, Nothing]) -> list[Change]:
    def read() -> list[Change]:
        return [change(line) for line in call.desk.history(call.id("task_id"))]

    return await asyncio.to_thread(read)
