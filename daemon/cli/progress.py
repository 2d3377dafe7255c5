"""What a person sees while rows are worked on; plain lines where it is no terminal."""

import asyncio
import sys
from collections.abc import Callable
from typing import Protocol

import click

from daemon.cli.picture import SHOWN_BATCHES, Picture, look_for_open, picture_of
from daemon.cli.stages import remark
from daemon.web.desk import Desk
from daemon.words import Words
from daemon.words.values import printable
from ledger.batch import Batch, BatchStatus
from ledger.entry import Transaction
from ledger.ledger import Ledger
from ledger.slices import in_slices
from ledger.status import ENDED_STAGES, OPEN_STAGES, Stage
from ledger.task import Task

REFRESH_SECONDS = 0.2


class Bars(Protocol):
    """Draws how the work stands."""

    def draw(self, picture: Picture) -> None:
        """Show how all stands."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class Terminal:
    """Wherever standard error goes by now: bars put what is logged above themselves."""

    def write(self, text: str) -> int:
        """Write *text*."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Write out what is held back."""
        sys.stderr.flush()

    def isatty(self) -> bool:
        """Say whether a person reads it."""
        return sys.stderr.isatty()


class BarDisplay:
    """Draws bars; a service that only watches."""

    name = "progress-display"

    def __init__(
        self,
        desk: Desk,
        bars: Bars,
        words: Words,
        *,
        finished: Callable[[Ledger], None] | None = None,
    ) -> None:
        """*finished* is called once, when all rows have ended; from then on nothing is drawn."""
        self._desk = desk
        self._bars = bars
        self._words = words
        self._shown: dict[str, None] = {}
        self._finished = finished

    async def run(self, stop: asyncio.Event) -> None:
        """Draw until *stop*."""
        unsubscribe = self._desk.ledger.subscribe(self._follow, Batch)
        try:
            await in_slices(look_for_open(self._desk, self._shown))
            while not stop.is_set():
                self._draw()
                if self._finished is not None and all_ended(self._desk.ledger):
                    self._bars.close()
                    self._finished(self._desk.ledger)
                    return
                await self._desk.clock.pause(REFRESH_SECONDS, stop)
            self._draw()
        finally:
            unsubscribe()
            self._bars.close()

    def _follow(self, transaction: Transaction) -> None:
        """Note the batches that may have become open, and let go of completed ones in a crowd."""
        for record in transaction.records:
            if not isinstance(record, Batch):
                continue
            if record.status is not BatchStatus.COMPLETED:
                self._shown[record.batch_id] = None
            elif len(self._shown) > SHOWN_BATCHES:
                self._shown.pop(record.batch_id, None)

    def _draw(self) -> None:
        self._bars.draw(picture_of(self._desk, self._shown, self._words))


class LineDisplay:
    """Prints a line for each task that ends, for pipes and log files."""

    name = "progress-display"

    def __init__(
        self, desk: Desk, words: Words, *, finished: Callable[[Ledger], None] | None = None
    ) -> None:
        self._desk = desk
        self._words = words
        self._finished = finished

    async def run(self, stop: asyncio.Event) -> None:
        """Print until *stop*; *finished* is called once, when all rows have ended."""
        unsubscribe = self._desk.ledger.subscribe(self._follow, *ENDED_STAGES)
        try:
            while not stop.is_set():
                if self._finished is not None and all_ended(self._desk.ledger):
                    finished, self._finished = self._finished, None
                    finished(self._desk.ledger)
                await self._desk.clock.pause(REFRESH_SECONDS, stop)
        finally:
            unsubscribe()

    def _follow(self, transaction: Transaction) -> None:
        for record in transaction.records:
            if not isinstance(record, Task) or not record.has_just_ended:
                continue
            if record.stage in (Stage.DONE, Stage.FAILED):
                what = ", ".join(record.output_files) or remark(record, self._words)
                status = self._words(f"status.{record.status}")
                line = f"{status} {record.task_id} {record.product_name}: {what}"
                click.echo(printable(line))


def all_ended(ledger: Ledger) -> bool:
    """Say whether there are tasks, and none of them is open."""
    counts = ledger.counts()
    return any(counts.values()) and not any(counts.get(stage) for stage in OPEN_STAGES)


def observer_on_terminal(words: Words) -> Callable[[Desk], BarDisplay] | None:
    """Return what draws bars beside a daemon, None where there is nobody to see them."""
    bars = bars_on_terminal(words)
    return None if bars is None else lambda desk: BarDisplay(desk, bars, words)


def bars_on_terminal(words: Words) -> Bars | None:
    """Return bars where a person looks at a terminal and rich is installed, else None."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        return None
    try:
        from daemon.cli.bars import RichBars  # noqa: PLC0415 - only on terminals
    except ModuleNotFoundError:
        return None
    return RichBars(words)
