"""The column 命令: what a person wishes for a row is done exactly once, then the cell is emptied.

What was done and the note of it are one transaction. While the note stands, the same word in the
cell is the one that was obeyed; once the cell is known to be empty, the note goes.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
import structlog

from daemon import failpoint
from daemon.clock import Clock
from daemon.intake.claims import Claims
from daemon.intake.obeyed import SECTION, note_key, note_of
from daemon.intake.reasons import cut
from daemon.tables.answers import Answer
from daemon.tables.cells import Change, Reading, Result, Row, Value
from daemon.tables.handle import TableHandle
from daemon.tables.status import Command, command_words, read_command
from daemon.words import Words
from ledger.entry import Meta
from ledger.ledger import Ledger
from ledger.status import OPEN_STAGES
from ledger.task import Json, Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()


class _Told(msgspec.Struct, frozen=True):
    """What the maker of a row is told of its command."""

    row: Row  # as it was read
    task: Task | None  # its first one
    said: str
    at: str  # a moment before the command was obeyed


class RowCommands(Protocol):
    """Carries a command out; lies above the steps, like all actions."""

    async def carry_out(
        self, task: Task, command: Command, note: Meta, *, actor: str, words: Words
    ) -> str:
        """Do what *command* asks for the row of *task* and write *note* with it.

        Returns what a person is told. What cannot be done is told too, and nothing is written.
        Raises LedgerError.
        """
        ...


class CommandColumn:
    """Obeys the commands in one table."""

    def __init__(
        self,
        handle: TableHandle,
        claims: Claims,
        commands: RowCommands,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        self._handle = handle
        self._claims = claims
        self._commands = commands
        self._ledger = ledger
        self._clock = clock

    async def obey(self, wishes: Sequence[tuple[Row, Task | None]]) -> None:
        """Carry the commands out and empty their cells; raises TableError, LedgerError, Postponed.

        *wishes*: rows as they were read, with the first task of each.
        """
        reruns: dict[str, Task | None] = {}
        told: list[_Told] = []
        for row, task in wishes:
            command = read_command(row.text("command"))
            if command is Command.RERUN and not _is_open(self._newest(task)):
                reruns[row.place] = task
                continue
            at = to_timestamp(self._clock.now())
            told.append(_Told(row, task, await self._obeyed(row, task, command), at))
        await self._empty(told)
        refused = await self._claims.take([row for row, _ in wishes if row.place in reruns])
        at, words = to_timestamp(self._clock.now()), self._handle.words
        await self._empty(
            [_Told(row, reruns[row.place], why.text(words), at) for row, why in refused]
        )

    async def forget_emptied(self, reading: Reading) -> None:
        """Drop the notes of commands that stand in no cell any more.

        A kill left them, or an answer that was lost. Every reading has the rows with a command.
        """
        notes = [key for key in self._ledger.meta(SECTION) if key.startswith(self._key(""))]
        if not notes:
            return
        standing = {self._key(row.key or "") for row in reading.rows if row.text("command")}
        gone = [key for key in notes if key not in standing]
        await self._forget(gone)

    async def _obeyed(self, row: Row, task: Task | None, command: Command | None) -> str:
        """Return what the row's maker is told of the command."""
        words = self._handle.words
        word = row.text("command")
        if command is None:
            known = command_words(words.language)
            return words("table.unknown_command", command=cut(word), known=known)
        if task is None:
            return words("table.no_task", task=row.text("task_id"))
        if command is Command.RERUN:
            return words("table.still_open", task=task.task_id)
        noted = self._noted(row)
        if noted is not None and noted.get("word") == word:
            return str(noted.get("told", ""))
        note = note_of(self._handle.name, row.key or "", word)
        told = await self._commands.carry_out(
            task, command, note, actor=self._handle.actor, words=words
        )
        failpoint.reach("command.carried_out")
        log.info("table.command", table=self._handle.name, task=task.task_id, command=command)
        return told

    async def _empty(self, told: Sequence[_Told]) -> None:
        """Empty the cells of commands, unless somebody wrote another one meanwhile.

        Such a row is not written at all, and its new command obeyed at the next look; how late a
        command may come says ``Table.write``. The answers are noted before, lest the row's next
        news take them away.
        """
        if not told:
            return
        notes = [self._answer(each).as_meta() for each in told if self._has_news(each)]
        if notes:
            await self._ledger.commit(*notes, op="command.answered", actor=self._handle.actor)
        changes = [Change(row=each.row, cells=self._cells(each)) for each in told]
        async with self._handle.writing:
            outcomes = await self._handle.table.write(changes)
        failpoint.reach("command.emptied")
        emptied = {
            self._key(each.row.key or "")
            for each, outcome in zip(told, outcomes, strict=True)
            if outcome.result is Result.WRITTEN
        }
        await self._forget(sorted(emptied & set(self._ledger.meta(SECTION))))

    async def _forget(self, keys: Sequence[str]) -> None:
        if keys:
            await self._ledger.commit(
                *(Meta(section=SECTION, key=key, value=None) for key in keys),
                op="command.emptied",
                actor=self._handle.actor,
            )

    def _noted(self, row: Row) -> Mapping[str, Json] | None:
        noted = self._ledger.meta(SECTION).get(self._key(row.key or ""))
        return noted if isinstance(noted, dict) else None

    def _key(self, row_key: str) -> str:
        return note_key(self._handle.name, row_key)

    def _cells(self, told: _Told) -> dict[str, Value]:
        """Return the cells of a row that is told; its end, if it came since, is the answer."""
        newest = self._newest(told.task)
        if _is_open(newest) or self._answer(told).is_newer_than(newest):
            return {"command": None, "error": told.said or None}
        return {"command": None}

    def _has_news(self, told: _Told) -> bool:
        """Say whether the row will be told of its tasks, and then shows only what is noted."""
        return not all(task.publish.is_settled for task in self._newest(told.task))

    def _answer(self, told: _Told) -> Answer:
        return Answer(table=self._handle.name, key=told.row.key or "", said=told.said, at=told.at)

    def _newest(self, task: Task | None) -> list[Task]:
        """Return the newest task of each stage of the row that *task* was made for."""
        if task is None or (row := task.metadata.table_row) is None:
            return []
        newest = (self._ledger.newest_of_family(task.row_id, name) for name in row.workflow_types)
        return [each for each in newest if each is not None]


def _is_open(tasks: Iterable[Task]) -> bool:
    return any(task.stage in OPEN_STAGES for task in tasks)
