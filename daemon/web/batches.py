"""Batches: how they stand, and what operators do to them."""

from collections import Counter
from collections.abc import Iterator

from aiohttp import web

from daemon.actions import batches, rerunning, tasks
from daemon.actions.rerunning import Wish
from daemon.intake.records import new_batch_id
from daemon.web.asked import RerunBody, RowsQuery, StopBody
from daemon.web.batch_documents import BatchDocument
from daemon.web.decoding import Nothing
from daemon.web.endpoint import Call
from daemon.web.gathering import answer_listing
from daemon.web.listing import page_of
from daemon.web.paging import Wanted
from daemon.web.performing import now, perform
from daemon.web.remaining import batch_documents, eta_of
from daemon.web.standing import batch_document
from daemon.web.task_documents import RowsPage
from daemon.web.views import task_row
from ledger.status import Stage
from ledger.task import Json, Task


async def list_batches(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Answer all batches, a ``BatchesDocument``."""
    documents = batch_documents(call.desk)
    return await answer_listing(call.request, "batches", documents, {"daemon_runs": True})


async def show_batch(call: Call[Nothing, Nothing]) -> BatchDocument:
    """Answer one batch."""
    desk, ledger = call.desk, call.desk.ledger
    batch_id = ledger.batch(call.id("batch_id")).batch_id
    gpu_seconds = await desk.tallies.gpu_time.of(batch_id)
    batch = ledger.batch(batch_id)
    return batch_document(ledger.index, batch, eta_of(desk, batch), gpu_seconds)


async def list_rows(call: Call[RowsQuery, Nothing]) -> RowsPage:
    """Answer how the rows of a batch stand, briefly; a task that was retried is left out."""
    query = call.query
    wanted = Wanted(stages=frozenset(Stage), batch_id=call.id("batch_id"), newest_only=True)
    page = await page_of(call.desk.ledger, wanted, query.limit, query.cursor)
    return RowsPage([task_row(task) for task in page.tasks], page.next_cursor)


async def pause(call: Call[Nothing, Nothing]) -> dict[str, Json]:
    """Let running rows end, start no more."""
    view = call.desk.ledger
    return await perform(call, lambda: batches.pause(view, call.id("batch_id"), at=now(call)))


async def resume(call: Call[Nothing, Nothing]) -> dict[str, Json]:
    """Let the waiting rows run."""
    view = call.desk.ledger
    return await perform(call, lambda: batches.resume(view, call.id("batch_id"), at=now(call)))


async def stop(call: Call[Nothing, StopBody]) -> dict[str, Json]:
    """Like pause, and take queued prompts back."""
    view, interrupt = call.desk.ledger, call.body.interrupt
    return await perform(
        call,
        lambda: batches.stop(view, call.id("batch_id"), interrupt=interrupt, at=now(call)),
    )


async def rerun(call: Call[Nothing, RerunBody]) -> dict[str, Json]:
    """Make a new batch of the same rows."""
    view, body, batch_id = call.desk.ledger, call.body, call.id("batch_id")
    return await perform(
        call,
        lambda: rerunning.rerun(
            view,
            batch_id,
            Wish(
                batch_id=new_batch_id(batch_id.rpartition("-")[0]),
                at=now(call),
                stage=body.stage,
                changes=body.changes,
                new_seed=body.new_seed,
            ),
            input_path=call.desk.input_path,
            output_path=call.desk.output_path,
        ),
    )


async def failed_executions(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Answer the tasks that failed and were not retried since, a ``FailedExecutions``."""
    index = call.desk.ledger.index
    failed = index.failed_ids(call.desk.ledger.batch(call.id("batch_id")).batch_id)
    reasons = Counter[str]()

    def told() -> Iterator[Task]:
        for task in filter(None, map(index.find_task, failed)):
            reasons[task.error_kind or "unknown"] += 1
            yield task

    rest = {"total": len(failed), "reasons": reasons}  # counted by the time they are told
    return await answer_listing(call.request, "failed_executions", told(), rest)


async def retry_failed(call: Call[Nothing, Nothing]) -> dict[str, Json]:
    """Retry all of them."""
    desk = call.desk
    return await perform(
        call,
        lambda: tasks.retry_failed(
            desk.ledger,
            call.id("batch_id"),
            at=now(call),
            input_path=desk.input_path,
            output_path=desk.output_path,
        ),
    )
