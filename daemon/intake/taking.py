"""Taking complete drops: read, decided by the intake, put away."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec
import structlog

from daemon.clock import Clock
from daemon.intake.accept import Also, Intake, Receipt
from daemon.intake.candidates import Candidates, Drop, PlannedDrop, candidates_of, plan_rows
from daemon.intake.columns import clean_text
from daemon.intake.completeness import Completeness
from daemon.intake.drops import DropPlace
from daemon.intake.errors import BadPicture, Postponed, Unreadable, Vanished
from daemon.intake.filing import Filing, new_filing
from daemon.intake.filing_clerk import FilingClerk
from daemon.intake.reading import read_job
from daemon.intake.records import new_batch_id
from daemon.intake.reports import ReportedRow
from daemon.words import Words
from ledger.entry import Meta
from ledger.errors import LedgerError
from ledger.ledger import Ledger
from ledger.task import InputFile
from ledger.timestamps import to_timestamp

log = structlog.get_logger()


class ReadJob(msgspec.Struct, frozen=True):
    """A drop whose job file was read: what its rows want, and what its reports will need."""

    place: DropPlace
    planned: PlannedDrop
    headings: dict[str, str]
    sha256: str


class UnreadableJob(msgspec.Struct, frozen=True):
    """A drop of which nothing can be taken, and why."""

    place: DropPlace
    error: Unreadable


Opened: TypeAlias = ReadJob | UnreadableJob
Kept: TypeAlias = dict[str, InputFile | BadPicture]


class Taker:
    """Decides complete drops, each in a transaction of its own, many of them together."""

    def __init__(
        self,
        inbox: Path,
        intake: Intake,
        ledger: Ledger,
        completeness: Completeness,
        clock: Clock,
        *,
        words: Words,
    ) -> None:
        """*words*: the language of reports."""
        self._inbox = inbox
        self._intake = intake
        self._ledger = ledger
        self._completeness = completeness
        self._clock = clock
        self._words = words
        self.clerk = FilingClerk(ledger, inbox, words)

    async def take(self, places: Sequence[DropPlace]) -> tuple[int, Postponed | None]:
        """Decide the drops, the first ones first, then put them away.

        Returns how many were decided, and why the rest was postponed, if so. A drop that went
        away meanwhile is no fault of anybody, and one whose pictures are missing stays where it
        is. A crash leaves decided drops to ``FilingClerk``.
        """
        opened = await asyncio.to_thread(self._open, places)
        jobs, postponed = await self._with_pictures(opened)
        decided = await self._record(jobs)
        decided += await self._refuse([job for job in opened if isinstance(job, UnreadableJob)])
        await self.clerk.finish([each for each in decided if not isinstance(each, BaseException)])
        for failure in decided:
            if isinstance(failure, LedgerError):
                postponed = postponed or Postponed(str(failure))
            elif isinstance(failure, BaseException):
                raise failure
        if postponed is not None:
            log.warning("drops.postponed", reason=str(postponed))
        return sum(1 for each in decided if not isinstance(each, BaseException)), postponed

    def _open(self, places: Sequence[DropPlace]) -> list[Opened]:
        """Read the job files; those that are gone, or whose pictures are missing, are left out."""
        known = self._intake.known_columns
        opened: list[Opened] = []
        for place in places:
            try:
                job, sha256 = read_job(self._inbox, place, known)
            except Unreadable as error:
                opened.append(UnreadableJob(place, error))
                continue
            except Vanished:
                log.info("drop.vanished", drop=place.name)
                continue
            file = self._inbox / (place.job or place.name)
            drop = Drop(
                name=place.name,
                job=file.name,
                rows=job.rows,
                pictures_in=file.parent,
                options=job.options,
            )
            planned = plan_rows(drop, self._intake.needs)
            if self._completeness.has_pictures(place, planned):
                opened.append(ReadJob(place, planned, job.headings, sha256))
        return opened

    async def _with_pictures(
        self, opened: Sequence[Opened]
    ) -> tuple[list[tuple[ReadJob, Candidates]], Postponed | None]:
        """Keep the pictures that the rows name, up to the drop for which our disk has no room."""
        jobs: list[ReadJob] = []
        kept: list[Kept] = []
        postponed: Postponed | None = None
        for job in opened:
            if isinstance(job, UnreadableJob):
                continue
            try:
                kept.append(await self._intake.keep_pictures(job.planned))
            except Postponed as error:
                postponed = error
                break
            jobs.append(job)
        candidates = await asyncio.to_thread(_all_candidates, jobs, kept)
        return list(zip(jobs, candidates, strict=True)), postponed

    async def _record(
        self, jobs: Sequence[tuple[ReadJob, Candidates]]
    ) -> list[tuple[str, Filing] | BaseException]:
        """Return the filing of each drop, or why it could not be recorded."""
        if not jobs:
            return []
        at = self._now()
        brought = [(candidates, self._also(job, at)) for job, candidates in jobs]
        decided: list[tuple[str, Filing] | BaseException] = []
        for (job, _), receipt in zip(jobs, await self._intake.record(brought), strict=True):
            if isinstance(receipt, BaseException):
                decided.append(receipt)
                continue
            decided.append((receipt.batch_id, self._filing_of(job, receipt, at)))
            log.info(
                "drop.decided",
                drop=job.place.name,
                batch=receipt.batch_id,
                accepted=receipt.accepted_rows,
                rejected=len(receipt.rejected),
                duplicates=len(receipt.duplicates),
            )
        return decided

    async def _refuse(
        self, jobs: Sequence[UnreadableJob]
    ) -> list[tuple[str, Filing] | BaseException]:
        return await asyncio.gather(*map(self._refuse_one, jobs), return_exceptions=True)

    async def _refuse_one(self, job: UnreadableJob) -> tuple[str, Filing]:
        key = new_batch_id(clean_text(job.place.name))
        reason = job.error.reason.text(self._words)
        filing = new_filing(job.place, self._now(), error=reason)
        await self._ledger.commit(filing.as_meta(key), op="drop.refused", actor="inbox")
        log.warning("drop.refused", drop=job.place.name, reason=str(job.error))
        return key, filing

    def _also(self, job: ReadJob, at: str) -> Also:
        """Return what writes down, with the receipt, that the drop is to be put away."""

        def also(receipt: Receipt) -> tuple[Meta]:
            return (self._filing_of(job, receipt, at).as_meta(receipt.batch_id),)

        return also

    def _filing_of(self, job: ReadJob, receipt: Receipt, at: str) -> Filing:
        words = self._words.about(job.headings)
        return new_filing(
            job.place,
            at,
            sha256=job.sha256,
            accepted_rows=receipt.accepted_rows,
            headings=job.headings,
            rejected=tuple(ReportedRow.of(row, words) for row in receipt.rejected),
            duplicates=tuple(ReportedRow.of(row, words) for row in receipt.duplicates),
        )

    def _now(self) -> str:
        return to_timestamp(self._clock.now())


def _all_candidates(jobs: Sequence[ReadJob], kept: Sequence[Kept]) -> list[Candidates]:
    return [candidates_of(job.planned, pictures) for job, pictures in zip(jobs, kept, strict=True)]
