"""Taking rows from a table so that each is taken once, whatever instant the process dies at.

(1) The ledger notes the ids that the row's tasks will bear; (2) the first of them is written into
the row's 任务ID; (3) the row is read back and bears it; (4) the tasks are recorded and the note
goes, in one transaction. A note that is found at the start says how far it came: its row bears
the id → (3), else nothing happened and the row is read anew.
"""

from collections.abc import Mapping, Sequence

import msgspec
import structlog

from daemon import failpoint
from daemon.clock import Clock
from daemon.intake.accept import Intake
from daemon.intake.claimed import Claimed, ClaimedRow
from daemon.intake.lost_rows import LostRows
from daemon.intake.records import AcceptedRow
from daemon.intake.row_cells import inputs_of
from daemon.intake.row_check import CheckedRow, RowCheck
from daemon.intake.superseding import superseded_tasks
from daemon.tables.cells import Change, Row, Value
from daemon.tables.errors import Trouble
from daemon.tables.handle import TableHandle
from daemon.tables.status import Command, read_command
from ledger.entry import CLAIMS, Meta, Record
from ledger.ledger import Ledger
from ledger.taskids import counter_of
from ledger.timestamps import to_timestamp

log = structlog.get_logger()


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The note of a row that is being taken; the ledger has it under the first id."""

    table: str
    key: str  # by which the row will be found
    task_ids: tuple[str, ...]
    at: str
    replaces: str | None = None  # the id that the row bore until then
    answer: str | None = None  # what its maker is told of a command that this fulfils

    @property
    def task_id(self) -> str:
        """The id that the row bears from step 2 on."""
        return self.task_ids[0]

    def fits(self, row: AcceptedRow) -> bool:
        """Say whether the ids are of the kinds that the row's stages want."""
        wanted = [counter_of(name, self.at) for name in row.wanted.workflow_types]
        return wanted == [task_id.rpartition("_")[0] for task_id in self.task_ids]

    def as_meta(self, *, open_: bool = True) -> Meta:
        """Return the record that makes the note, or removes it."""
        value = msgspec.to_builtins(self) if open_ else None
        return Meta(section=CLAIMS, key=self.task_id, value=value)


class Claims:
    """Takes rows of one table."""

    def __init__(
        self,
        handle: TableHandle,
        check: RowCheck,
        intake: Intake,
        ledger: Ledger,
        clock: Clock,
        *,
        lost: LostRows,
    ) -> None:
        self._handle = handle
        self._check = check
        self._intake = intake
        self._ledger = ledger
        self._clock = clock
        self._lost = lost

    def open(self) -> dict[str, Claim]:
        """Return the notes of rows of this table that are being taken, by first id."""
        noted = ((key, msgspec.convert(value, Claim)) for key, value in self._noted())
        return {key: claim for key, claim in noted if claim.table == self._handle.name}

    def _noted(self) -> list[tuple[str, object]]:
        return list(self._ledger.meta(CLAIMS).items())

    async def take(self, rows: Sequence[Row]) -> list[tuple[Row, Trouble]]:
        """Take *rows* as they were read; returns those that cannot run, with the reason.

        A row that changed meanwhile is left for the next look. A row that bears an id already (its
        maker wants it to run again) gets a new one.
        Raises TableError, LedgerError, Postponed; what was begun is finished by ``finish_open``.
        """
        good, refused = await self._check.check(rows)
        if good:
            for row, _ in good:
                self._lost.forget(row.text("task_id"))
            claims = await self._note(good)
            await self._mark([row for row, _ in good], claims)
            await self._accept(claims, dict(zip((c.task_id for c in claims), good, strict=True)))
        return refused

    async def finish_open(self) -> None:
        """Finish or give up what a kill or a failure left open; raises as ``take`` does."""
        claims = list(self.open().values())
        if claims:
            await self._accept(claims, {})

    async def _note(self, good: Sequence[tuple[Row, AcceptedRow]]) -> list[Claim]:
        at = to_timestamp(self._clock.now())
        claims = []
        for row, accepted in good:
            types = accepted.wanted.workflow_types
            ids = tuple(self._ledger.new_task_ids(name, at)[0] for name in types)
            own = row.key if self._handle.table.has_own_keys else None
            claims.append(
                Claim(
                    table=self._handle.name,
                    key=own or ids[0],
                    task_ids=ids,
                    at=at,
                    replaces=row.text("task_id") or None,
                    answer=self._answer(row),
                )
            )
        await self._ledger.commit(
            *(claim.as_meta() for claim in claims),
            op="row.claiming",
            actor=self._handle.actor,
        )
        failpoint.reach("claim.noted")
        return claims

    def _answer(self, row: Row) -> str | None:
        """Return what is told to who wrote a wish to run into a row that never ran."""
        word = row.text("command")
        if row.text("task_id") or not _is_wish_to_run(word):
            return None
        return self._handle.words("table.first_run", command=word)

    async def _mark(self, rows: Sequence[Row], claims: Sequence[Claim]) -> None:
        """Write each id into its row; a row that changed meanwhile gets none."""
        changes = [
            Change(row=row, cells=_marking(row, claim))
            for row, claim in zip(rows, claims, strict=True)
        ]
        async with self._handle.writing:
            await self._handle.table.write(changes)
        failpoint.reach("claim.marked")

    async def _accept(self, claims: Sequence[Claim], checked: Mapping[str, CheckedRow]) -> None:
        """Record the rows that bear their id now; *checked*: how they were read, by id."""
        found = await self._found(claims)
        failpoint.reach("claim.found")
        taken, back = await self._sorted(claims, found, checked)
        await self._give_back([(found[key], trouble) for key, trouble in back.items()])
        settled: list[Record] = [claim.as_meta(open_=False) for claim in claims]
        replaced = {c.replaces: c.task_id for c in claims if c.replaces and c.task_id in found}
        if not taken:
            at = to_timestamp(self._clock.now())
            for old, new in replaced.items():
                settled += superseded_tasks(self._ledger.index, old, new, at)
            await self._ledger.commit(*settled, op="row.claims_void", actor=self._handle.actor)
            return
        together = Claimed(
            table=self._handle.name,
            rows=tuple(taken),
            words=self._handle.words,
            replaced=replaced,
        )
        batch_id = await self._intake.take(together, settled)
        for claimed in taken:
            self._lost.expect(claimed.key)
        log.info(
            "table.rows_taken",
            table=self._handle.name,
            batch=batch_id,
            rows=len(taken),
            void=len(claims) - len(taken),
        )

    async def _sorted(
        self,
        claims: Sequence[Claim],
        found: Mapping[str, Row],
        checked: Mapping[str, CheckedRow],
    ) -> tuple[list[ClaimedRow], dict[str, Trouble | None]]:
        """Part the rows that can be taken from those that lose their id again, each with why.

        Rows that were changed since they were checked are checked anew.
        """
        anew = [row for key, row in found.items() if not _is_as_read(row, checked.get(key))]
        good, refused = await self._check.check(anew)
        accepted = {key: each for key, (_, each) in checked.items()}
        accepted |= {row.text("task_id"): each for row, each in good}
        back: dict[str, Trouble | None] = {row.text("task_id"): why for row, why in refused}
        taken: list[ClaimedRow] = []
        for claim in (claim for claim in claims if claim.task_id in found):
            if claim.task_id in back:
                continue
            if claim.fits(accepted[claim.task_id]):
                taken.append(_claimed(claim, found[claim.task_id], accepted[claim.task_id]))
            else:
                back[claim.task_id] = None  # it is another type's row by now: read it anew
        return taken, back

    async def _found(self, claims: Sequence[Claim]) -> dict[str, Row]:
        """Return, by id, the rows that bear the id of a claim; of a copied row the first."""
        rows: dict[str, Row] = {}
        wanted = {claim.task_id: claim.key for claim in claims}
        for row in await self._handle.table.find(list(wanted.values())):
            task_id = row.text("task_id")
            if wanted.get(task_id) == row.key:
                rows.setdefault(task_id, row)
        return rows

    async def _give_back(self, rows: Sequence[tuple[Row, Trouble | None]]) -> None:
        """Take the id out of rows that were changed, since, to what cannot be taken so."""
        if not rows:
            return
        words = self._handle.words
        changes = [
            Change(
                row=row,
                cells={"task_id": None, "error": trouble.text(words) if trouble else None},
            )
            for row, trouble in rows
        ]
        async with self._handle.writing:
            await self._handle.table.write(changes)


def _is_wish_to_run(word: str) -> bool:
    return read_command(word) in (Command.RERUN, Command.RETRY)


def _marking(row: Row, claim: Claim) -> dict[str, Value]:
    """Return the cells by which the row gets its id.

    A wish to run is fulfilled by that, and its cell emptied by the same write; other commands stay
    for who records the row. The end of an earlier run goes: with the new id it would be taken for
    the end of the new one.
    """
    cells: dict[str, Value] = {"task_id": claim.task_id}
    if _is_wish_to_run(row.text("command")):
        cells["command"] = None
    if claim.answer is not None:
        cells["error"] = claim.answer
    if claim.replaces is not None:
        videos = (task_id.startswith("vid_") for task_id in claim.task_ids)
        own = ("video_done" if each else "image_done" for each in videos)
        cells |= dict.fromkeys(("status", *own))
    return cells


def _claimed(claim: Claim, row: Row, accepted: AcceptedRow) -> ClaimedRow:
    return ClaimedRow(
        accepted=accepted,
        table=claim.table,
        key=claim.key,
        task_ids=claim.task_ids,
        values=inputs_of(row),
        line=int(row.place) if row.place.isdecimal() else None,
        command=row.text("command"),
        answer=claim.answer,
        replaces=claim.replaces,
    )


def _is_as_read(row: Row, checked: CheckedRow | None) -> bool:
    return checked is not None and inputs_of(checked[0]) == inputs_of(row)
