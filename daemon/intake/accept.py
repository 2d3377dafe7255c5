"""The one door: rows become tasks here, whoever brings them (inbox, table, HTTP)."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from config.settings import Inputs
from daemon import failpoint
from daemon.clock import Clock
from daemon.intake.claimed import Claimed, batch_of_table
from daemon.intake.columns import WorkflowNeeds, clean_text, shown, tidy
from daemon.intake.contents import ContentStore
from daemon.intake.errors import BadPicture
from daemon.intake.fingerprint import fingerprint, likeness
from daemon.intake.grid import RawRow
from daemon.intake.records import AcceptedRow, new_batch, new_batch_id, new_tasks
from daemon.intake.rows import RefusedRow, WantedRow, plan_row
from ledger.entry import Meta, Record
from ledger.errors import Conflict
from ledger.ledger import Ledger
from ledger.task import InputFile, Json, Source, Task
from ledger.timestamps import to_timestamp

#: Changes to a table's batch that may come before ours; each is over in milliseconds.
_ATTEMPTS = 20
_OVERTAKEN_SECONDS = 0.02


class Drop(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that came together, and where their pictures lie."""

    name: str  # as its maker called it; it becomes the batch's name
    kind: str = "inbox"  # where it came from: inbox, api, table
    rows: tuple[RawRow, ...]
    pictures_in: Path  # relative paths start here, and none may lead out of it
    options: dict[str, Json] = msgspec.field(default_factory=dict)

    @property
    def stem(self) -> str:
        """The name without the ending of a file."""
        stem, dot, ending = self.name.rpartition(".")
        return stem if dot and ending.lower() in ("csv", "xlsx", "json", "jsonl") else self.name

    @property
    def rerun(self) -> bool:
        """Whether rows that ran before run again."""
        return ".rerun." in self.name.lower() or self.options.get("rerun") is True


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a drop's rows."""

    batch_id: str  # of the batch; without accepted rows there is none of this id
    accepted_rows: int = 0
    task_ids: tuple[str, ...] = ()
    rejected: tuple[RefusedRow, ...] = ()
    duplicates: tuple[RefusedRow, ...] = ()


class Door:
    """Decides over rows and records the good ones."""

    def __init__(
        self,
        ledger: Ledger,
        contents: ContentStore,
        needs: Mapping[str, WorkflowNeeds],
        clock: Clock,
        inputs: Inputs,
    ) -> None:
        self._ledger = ledger
        self._contents = contents
        self._needs = needs
        self._clock = clock
        self._allow = inputs.allow
        self._deciding = asyncio.Lock()  # two equal drops at once: one of them is the duplicate

    @property
    def needs(self) -> Mapping[str, WorkflowNeeds]:
        """What each known workflow type takes from a row."""
        return self._needs

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
        planned = await asyncio.to_thread(self._plan, rows)
        wanted = [row for row in planned if isinstance(row, WantedRow)]
        refused = [row for row in planned if isinstance(row, RefusedRow)]
        kept = await self._keep_pictures(wanted, pictures_in, also_in)
        failpoint.reach("intake.contents_copied")
        good, bad = await asyncio.to_thread(_with_inputs, wanted, kept)
        return good, sorted(refused + bad, key=lambda row: row.line)

    async def accept(
        self, drop: Drop, also: Callable[[Verdict], Sequence[Meta]] = lambda _: ()
    ) -> Verdict:
        """Record every good row of *drop* in one transaction and say what became of each row.

        What *also* returns for the verdict is written in the same transaction. On return the
        rows are safe. A crash before leaves nothing but copies of pictures; so do Postponed
        (our disk) and LedgerError, after which the drop may be brought again.
        """
        good, rejected = await self.check(drop.rows, drop.pictures_in)
        async with self._deciding:
            accepted = [row for row in good if drop.rerun or self._is_new(row)]
            ids = self._task_ids(accepted)
            verdict, records = await asyncio.to_thread(
                self._records, drop, accepted, ids, rejected, good
            )
            everything = (*records, *also(verdict))
            failpoint.reach("intake.before_commit")
            if everything:
                op = "batch.accepted" if accepted else "drop.refused"
                await self._ledger.commit(*everything, op=op, actor=drop.kind)
        failpoint.reach("intake.after_commit")
        return verdict

    def _plan(self, rows: Sequence[RawRow]) -> list[WantedRow | RefusedRow]:
        return [plan_row(_tidied(row), self._needs) for row in rows]

    async def _keep_pictures(
        self, rows: Sequence[WantedRow], root: Path, also_in: Sequence[Path]
    ) -> dict[str, InputFile | BadPicture]:
        """Return what became of each picture, by its path as the rows name it."""
        kept: dict[str, InputFile | BadPicture] = {}
        for row in rows:
            for named in row.pictures.values():
                if named not in kept:
                    try:
                        kept[named] = await self._contents.keep(
                            named, root, (*self._allow, *also_in)
                        )
                    except BadPicture as error:
                        kept[named] = error
        return kept

    def _is_new(self, row: AcceptedRow) -> bool:
        return not self._ledger.was_accepted(row.fingerprint)

    def _task_ids(self, accepted: Sequence[AcceptedRow]) -> dict[str, Iterator[str]]:
        """Return, by workflow type, the ids that its tasks will bear, in order."""
        at = to_timestamp(self._clock.now())
        wanted = Counter(name for row in accepted for name in row.wanted.workflow_types)
        return {
            name: iter(self._ledger.new_task_ids(name, at, count)) for name, count in wanted.items()
        }

    def _records(
        self,
        drop: Drop,
        accepted: Sequence[AcceptedRow],
        ids: Mapping[str, Iterator[str]],
        rejected: Sequence[RefusedRow],
        good: Sequence[AcceptedRow],
    ) -> tuple[Verdict, list[Record]]:
        at = to_timestamp(self._clock.now())
        source = Source(kind=drop.kind, name=clean_text(drop.name))
        batch = new_batch(new_batch_id(clean_text(drop.stem)), source, at, drop.options)
        tasks: list[Task] = []
        for row in accepted:
            own = [next(ids[workflow_type]) for workflow_type in row.wanted.workflow_types]
            tasks += new_tasks(row, own, batch, self._needs, at)
        running = {row.wanted.line for row in accepted}
        verdict = Verdict(
            batch_id=batch.batch_id,
            accepted_rows=len(accepted),
            task_ids=tuple(task.task_id for task in tasks),
            rejected=tuple(rejected),
            duplicates=tuple(
                _refused(row.wanted, "a row with the same values and pictures was accepted before")
                for row in good
                if row.wanted.line not in running
            ),
        )
        return verdict, [batch, *tasks] if tasks else []

    async def take(self, claimed: Claimed, also: Sequence[Meta]) -> str:
        """Record checked rows of a table under the ids they bear, and *also*; returns the batch.

        They join the table's batch until that is over, then a new one begins with them. Values
        like those of other rows are no reason against them. Raises LedgerError; then nothing was
        recorded.
        """
        async with self._deciding:
            for attempt in range(_ATTEMPTS):
                at = to_timestamp(self._clock.now())
                batch = batch_of_table(self._ledger, claimed.table, at)
                tasks = [task for row in claimed.rows for task in row.tasks(batch, self._needs, at)]
                failpoint.reach("claim.before_accept")
                try:
                    await self._ledger.commit(
                        batch, *tasks, *also, op="batch.accepted", actor=f"table:{claimed.table}"
                    )
                except Conflict:  # the batch was completed, or counted anew, this very moment
                    if attempt + 1 == _ATTEMPTS:
                        raise
                    await asyncio.sleep(_OVERTAKEN_SECONDS)
                    continue
                failpoint.reach("claim.accepted")
                return batch.batch_id
        raise AssertionError  # the last attempt raises


def _tidied(row: RawRow) -> RawRow:
    values: dict[str, Json] = {}
    for key, value in row.values.items():
        if (tidied := tidy(value)) not in (None, ""):
            values[clean_text(key)] = tidied
    return msgspec.structs.replace(row, values=values)


def _with_inputs(
    rows: Sequence[WantedRow], kept: Mapping[str, InputFile | BadPicture]
) -> tuple[list[AcceptedRow], list[RefusedRow]]:
    """Part the rows whose pictures are all good, with their fingerprints, from the others."""
    good: list[AcceptedRow] = []
    bad: list[RefusedRow] = []
    seen: Counter[str] = Counter()
    for row in rows:
        inputs, problems = _inputs_of(row, kept)
        if problems:
            bad.append(_refused(row, "; ".join(problems)))
            continue
        alike = likeness(row, inputs)
        seen[alike] += 1
        mark = fingerprint(alike, seen[alike])
        good.append(AcceptedRow(wanted=row, inputs=inputs, fingerprint=mark))
    return good, bad


def _inputs_of(
    row: WantedRow, kept: Mapping[str, InputFile | BadPicture]
) -> tuple[dict[str, InputFile], list[str]]:
    inputs: dict[str, InputFile] = {}
    problems: list[str] = []
    for column, named in row.pictures.items():
        match kept[named]:
            case InputFile() as file:
                inputs[column] = file
            case BadPicture() as error:
                problems.append(f"{shown(column)} “{named[:120]}”: {error}")
    return inputs, problems


def _refused(row: WantedRow, reason: str) -> RefusedRow:
    return RefusedRow(line=row.line, values=dict(row.values), reason=reason)
