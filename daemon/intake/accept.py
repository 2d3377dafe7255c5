"""The one way in: rows become tasks here, whoever brings them (inbox, table, HTTP)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import structlog

from config.settings import Inputs
from daemon import failpoint
from daemon.clock import Clock
from daemon.intake.candidates import Candidates, Drop, PlannedDrop, candidates_of, plan_rows
from daemon.intake.claimed import Claimed, batch_of_table
from daemon.intake.columns import WorkflowNeeds, known_columns
from daemon.intake.contents import ContentStore
from daemon.intake.deciding import Decided, Receipt, Sieve, change_of, decide, ids_for
from daemon.intake.errors import BadPicture
from daemon.intake.first_commands import obey_first
from daemon.intake.grid import RawRow
from daemon.intake.records import AcceptedRow
from daemon.intake.rows import RefusedRow
from daemon.intake.superseding import superseded_tasks
from ledger.entry import Meta, Record
from ledger.errors import Conflict, LedgerDamaged
from ledger.ledger import Ledger
from ledger.slices import let_go
from ledger.task import InputFile
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: What is to be written in the same transaction as a receipt.
Also: TypeAlias = Callable[[Receipt], Awaitable[Sequence[Meta]]]

#: Rows looked up before the loop gets its turn: two milliseconds.
_SLICE = 250
#: Changes to a table's batch that may come before ours; each is over in milliseconds.
_ATTEMPTS = 20
_OVERTAKEN_SECONDS = 0.02


class Intake:
    """Decides over rows and records the good ones."""

    def __init__(
        self,
        ledger: Ledger,
        contents: ContentStore,
        needs: Mapping[str, WorkflowNeeds],
        clock: Clock,
        inputs: Inputs,
        *,
        named: frozenset[str] = frozenset(),
    ) -> None:
        """*named*: columns that have a use besides, in the names of results."""
        self._ledger = ledger
        self._contents = contents
        self._needs = needs
        self._clock = clock
        self._allow = inputs.allow
        self._named = named
        self._deciding = asyncio.Lock()  # two equal drops at once: one of them is the duplicate

    @property
    def needs(self) -> Mapping[str, WorkflowNeeds]:
        """What each known workflow type takes from a row."""
        return self._needs

    @property
    def known_columns(self) -> frozenset[str]:
        """The columns that mean something to us, to a workflow, or to the names of results."""
        return known_columns(self._needs) | self._named

    @property
    def allow(self) -> Sequence[Path]:
        """Folders outside a drop that rows may name pictures in."""
        return self._allow

    async def check(
        self, rows: Sequence[RawRow], pictures_in: Path, *, also_in: Sequence[Path] = ()
    ) -> tuple[list[AcceptedRow], list[RefusedRow]]:
        """Part the rows that can run from the others; pictures of the former are in the store.

        Nothing is recorded. *also_in*: folders besides whose pictures these rows may name.
        Raises Postponed when our disk will not take a picture.
        """
        drop = Drop(name="", kind="table", rows=tuple(rows), pictures_in=pictures_in)
        candidates = await self._candidates(drop, also_in)
        return candidates.good, candidates.rejected

    async def accept(self, drop: Drop, also: Also | None = None) -> Receipt:
        """Record every good row of *drop* in one transaction and say what became of each row.

        What *also* returns for the receipt is written in the same transaction. On return the
        rows are safe. A crash before leaves nothing but copies of pictures; so do Postponed
        (our disk) and LedgerError, after which the drop may be brought again.
        """
        (receipt,) = await self.record([(await self._candidates(drop), also or _nothing)])
        if isinstance(receipt, BaseException):
            raise receipt
        return receipt

    async def _candidates(self, drop: Drop, also_in: Sequence[Path] = ()) -> Candidates:
        planned = await asyncio.to_thread(plan_rows, drop, self._needs)
        kept = await self.keep_pictures(planned, also_in)
        return await asyncio.to_thread(candidates_of, planned, kept)

    async def keep_pictures(
        self, planned: PlannedDrop, also_in: Sequence[Path] = ()
    ) -> dict[str, InputFile | BadPicture]:
        """Copy the pictures that rows name; returns what became of each, by its path there.

        Raises Postponed when our own disk will not take one.
        """
        kept: dict[str, InputFile | BadPicture] = {}
        root, allow = planned.drop.pictures_in, (*self._allow, *also_in)
        for named in planned.pictures():
            try:
                kept[named] = await self._contents.keep(named, root, allow)
            except BadPicture as error:
                kept[named] = error
        failpoint.reach("intake.contents_copied")
        return kept

    async def record(
        self, brought: Sequence[tuple[Candidates, Also]]
    ) -> list[Receipt | BaseException]:
        """Record what several drops brought, each in a transaction of its own, side by side.

        Of equal rows the first one counts. Returns for each its receipt, or why it could not be
        recorded.
        """
        async with self._deciding:
            new = await self._surely_new_rows([candidates for candidates, _ in brought])
            at = to_timestamp(self._clock.now())
            ids = [ids_for(rows, self._ledger, at) for rows in new]
            drops = [candidates for candidates, _ in brought]
            decided = await asyncio.to_thread(self._decide_all, drops, new, ids)
            failpoint.reach("intake.before_commit")
            commits = (
                self._commit(each, candidates.drop, also)
                for each, (candidates, also) in zip(decided, brought, strict=True)
            )
            receipts = await asyncio.gather(*commits, return_exceptions=True)
        for each in decided:
            await let_go(each.records)
        return receipts

    async def _surely_new_rows(self, brought: Sequence[Candidates]) -> list[list[AcceptedRow]]:
        """Return the same, also when what tells of archived rows was damaged meanwhile."""
        try:
            return await self._new_rows(brought)
        except LedgerDamaged as error:
            log.warning("archive.rows_made_again", error=str(error))
            await self._ledger.know_archived()
            return await self._new_rows(brought)

    async def _new_rows(self, brought: Sequence[Candidates]) -> list[list[AcceptedRow]]:
        """Return, for each, the rows that were never accepted before."""
        sieve = Sieve(self._ledger.was_accepted)
        new: list[list[AcceptedRow]] = []
        for candidates in brought:
            rows: list[AcceptedRow] = []
            for first in range(0, len(candidates.good), _SLICE):
                if first:
                    await asyncio.sleep(0)
                rows += sieve.new_among(candidates.good[first : first + _SLICE], candidates.drop)
            new.append(rows)
        return new

    def _decide_all(
        self,
        brought: Sequence[Candidates],
        new: Sequence[Sequence[AcceptedRow]],
        ids: Sequence[Mapping[str, Iterator[str]]],
    ) -> list[Decided]:
        at = to_timestamp(self._clock.now())  # one text, which the records share
        return [
            decide(candidates, rows, own, self._needs, at)
            for candidates, rows, own in zip(brought, new, ids, strict=True)
        ]

    async def _commit(self, decided: Decided, drop: Drop, also: Also) -> Receipt:
        if change := change_of(decided, drop, await also(decided.receipt)):
            await self._ledger.commit(*change.records, op=change.op, actor=change.actor)
        failpoint.reach("intake.after_commit")
        return decided.receipt

    async def take(self, claimed: Claimed, also: Sequence[Record]) -> str:
        """Record checked rows of a table under the ids they bear, and *also*; returns the batch.

        What stands in 命令 of a row is obeyed by the same transaction (see ``first_commands``).
        They join the table's batch until that is over, then a new one begins with them. Values
        like those of other rows are no reason against them. Raises LedgerError; then nothing was
        recorded.
        """
        async with self._deciding:
            for attempt in range(_ATTEMPTS):
                at = to_timestamp(self._clock.now())
                batch = batch_of_table(self._ledger, claimed.table, at)
                new = [(row, row.tasks(batch, self._needs, at)) for row in claimed.rows]
                made = obey_first(batch, new, self._ledger.index, claimed.words, at)
                records: list[Record] = [made.batch, *made.tasks, *made.notes]
                for old, by in claimed.replaced.items():
                    records += superseded_tasks(self._ledger.index, old, by, at)
                failpoint.reach("claim.before_accept")
                try:
                    await self._ledger.commit(
                        *records, *also, op="batch.accepted", actor=f"table:{claimed.table}"
                    )
                except Conflict:  # the batch was completed, or counted anew, this very moment
                    if attempt + 1 == _ATTEMPTS:
                        raise
                    await asyncio.sleep(_OVERTAKEN_SECONDS)
                    continue
                failpoint.reach("claim.accepted")
                return batch.batch_id
        raise AssertionError  # the last attempt raises


async def _nothing(_: Receipt) -> Sequence[Meta]:
    return ()
