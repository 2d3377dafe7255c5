"""Ledgers for pages that have much to show."""

from pathlib import Path

from ledger.batch import BatchStatus
from ledger.direct import DirectLedger
from ledger.status import Stage
from ledger.task import Task
from tests.fakes.records import batch_record, task_record

ROWS = 20_000
_PORTION = 2000


def fill_with_rows(ledger_path: Path, rows: int = ROWS) -> None:
    """Write a paused batch of so many rows: each 20th failed, the last tenth waits. Blocks."""
    with DirectLedger(ledger_path) as ledger:
        tasks = [_task(number, rows) for number in range(1, rows + 1)]
        batch = batch_record(status=BatchStatus.PAUSED)
        ledger.commit(batch, *tasks[:_PORTION], op="batch.accepted", actor="inbox")
        for begin in range(_PORTION, rows, _PORTION):
            portion = tasks[begin : begin + _PORTION]
            ledger.commit(*portion, op="batch.accepted", actor="inbox")


def _task(number: int, rows: int) -> Task:
    about: dict[str, object] = {"product_name": f"product {number} ", "model_name": "小美"}
    if number > rows * 0.9:
        return task_record(number, Stage.WAITING, **about)
    about |= {"server": "gpu-0", "attempt": 1, "finished_at": "2026-11-21T10:00:00.000Z"}
    if number % 20:
        return task_record(number, Stage.DONE, **about)
    message = "CUDA out of memory. Tried to allocate 2.50 GiB"
    failed = about | {"error_kind": "out_of_memory", "error_message": message}
    return task_record(number, Stage.FAILED, **failed)
