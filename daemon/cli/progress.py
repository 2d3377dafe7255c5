"""What a person sees while rows are worked on; plain lines where it is no terminal."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import click

from ledger.entry import Transaction
from ledger.ledger import Ledger
from ledger.status import OPEN_STAGES, Stage
from ledger.task import Task

REFRESH_SECONDS = 0.2


class Bars(Protocol):
    """Draws how far each batch is."""

    def draw(self, batch_id: str, done: int, failed: int, total: int, activity: str) -> None:
        """Show a batch's counts."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class PlainLines:
    """One line per task that ends; for pipes and log files."""

    def draw(self, batch_id: str, done: int, failed: int, total: int, activity: str) -> None:
        """Say nothing: the lines of the tasks are enough."""

    def close(self) -> None:
        """Nothing to restore."""


class RichBars:
    """A bar per batch, drawn by rich."""

    def __init__(self) -> None:
        from rich.progress import (  # noqa: PLC0415 - only on terminals
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TaskID,
            TextColumn,
        )

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[activity]}"),
        )
        self._ids: dict[str, TaskID] = {}
        self._bars.start()

    def draw(self, batch_id: str, done: int, failed: int, total: int, activity: str) -> None:
        """Show a batch's counts."""
        if batch_id not in self._ids:
            self._ids[batch_id] = self._bars.add_task(batch_id, total=total, activity="")
        text = f"{activity}  ✗ {failed}" if failed else activity
        self._bars.update(
            self._ids[batch_id],
            completed=done + failed,
            total=total,
            activity=text,
        )

    def close(self) -> None:
        """Leave the last picture of the bars standing."""
        self._bars.stop()


class ProgressDisplay:
    """Shows each task's end and each batch's counts; a service that only watches."""

    name = "progress-display"

    def __init__(
        self, ledger: Ledger, bars: Bars, *, finished: Callable[[Ledger], None] | None = None
    ) -> None:
        self._ledger = ledger
        self._bars = bars
        self._plain = isinstance(bars, PlainLines)
        self._finished = finished

    async def run(self, stop: asyncio.Event) -> None:
        """Show until *stop*; *finished* is called once, when all rows have ended."""
        unsubscribe = self._ledger.subscribe(self._follow)
        try:
            while not stop.is_set():
                self._draw()
                if self._finished is not None and self._ended():
                    self._bars.close()
                    finished, self._finished = self._finished, None
                    finished(self._ledger)
                try:
                    async with asyncio.timeout(REFRESH_SECONDS):
                        await stop.wait()
                except TimeoutError:
                    continue
            self._draw()
        finally:
            unsubscribe()
            self._bars.close()

    def _ended(self) -> bool:
        counts = self._ledger.counts()
        return any(counts.values()) and not any(counts.get(stage) for stage in OPEN_STAGES)

    def _draw(self) -> None:
        for batch in self._ledger.batches():
            counts = self._ledger.counts(batch.batch_id)
            inside = counts.get(Stage.QUEUED, 0) + counts.get(Stage.RUNNING, 0)
            self._bars.draw(
                batch.batch_id,
                counts.get(Stage.DONE, 0),
                counts.get(Stage.FAILED, 0),
                sum(counts.values()),
                f"▶ {inside}  ⬇ {counts.get(Stage.COLLECTING, 0)}",
            )

    def _follow(self, transaction: Transaction) -> None:
        if not self._plain:
            return
        for record in transaction.records:
            if isinstance(record, Task) and record.stage in (Stage.DONE, Stage.FAILED):
                what = ", ".join(record.output_files) or record.error_message or ""
                click.echo(f"{record.status} {record.task_id} {record.product_name}: {what}")


def bars_for(*, terminal: bool) -> Bars:
    """Return bars on a terminal where rich is installed, else plain lines."""
    if not terminal:
        return PlainLines()
    try:
        return RichBars()
    except ModuleNotFoundError:
        return PlainLines()
