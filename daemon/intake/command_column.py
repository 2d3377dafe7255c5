"""The column 命令: what a person wishes for a row is done exactly once, then the cell is emptied.

What was done and the note of it are one transaction. While the note stands, the same word in the
cell is the one that was obeyed; once the cell is known to be empty, the note goes.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from daemon import failpoint
from daemon.intake.claims import Claims
from daemon.intake.obeyed import SECTION, note_key, note_of
from daemon.tables.cells import Change, Reading, Result, Row
from daemon.tables.handle import TableHandle
from daemon.tables.status import Command, command_words, read_command
from daemon.words import Words
from ledger.entry import Meta
from ledger.ledger import Ledger
from ledger.status import OPEN_STAGES
from ledger.task import Json, Task

log = structlog.get_logger()


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
        self, handle: TableHandle, claims: Claims, commands: RowCommands, ledger: Ledger
    ) -> None:
        self._handle = handle
        self._claims = claims
        self._commands = commands
        self._ledger = ledger

    async def obey(self, wishes: Sequence[tuple[Row, Task | None]]) -> None:
        """Carry the commands out and empty their cells; raises TableError, LedgerError, Postponed.

        *wishes*: rows as they were read, with the first task of each.
        """
        reruns: list[Row] = []
        told: list[tuple[Row, str]] = []
        for row, task in wishes:
            command = read_command(row.text("command"))
            if command is Command.RERUN and (task is None or not self._has_open_task(task)):
                reruns.append(row)
            else:
                told.append((row, await self._obeyed(row, task, command)))
        if told:
            await self._empty(told)
        if reruns:
            refused = await self._claims.take(reruns)
            await self._empty([(row, why.text(self._handle.words)) for row, why in refused])

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
            return words("table.unknown_command", command=word[:40], known=known)
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

    async def _empty(self, told: Sequence[tuple[Row, str]]) -> None:
        """Empty the cells of commands, unless somebody wrote another one meanwhile."""
        if not told:
            return
        changes = [
            Change(row=row, cells={"command": None, "error": text or None}) for row, text in told
        ]
        async with self._handle.writing:
            outcomes = await self._handle.table.write(changes)
        failpoint.reach("command.emptied")
        emptied = {
            self._key(row.key or "")
            for (row, _), outcome in zip(told, outcomes, strict=True)
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

    def _has_open_task(self, task: Task) -> bool:
        types = task.metadata.table_row.workflow_types if task.metadata.table_row else ()
        newest = (self._ledger.newest_of_family(task.row_id, name) for name in types)
        return any(each is not None and each.stage in OPEN_STAGES for each in newest)
