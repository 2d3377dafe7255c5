"""Taking complete drops: read, decided by the intake, put away."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import structlog

from daemon.clock import Clock
from daemon.intake.accept import Intake
from daemon.intake.candidates import Candidates, candidates_of
from daemon.intake.completeness import Completeness
from daemon.intake.deciding import Receipt
from daemon.intake.drops import DropPlace
from daemon.intake.errors import Postponed, Vanished
from daemon.intake.filing import Filing
from daemon.intake.filing_clerk import FilingClerk
from daemon.intake.jobs import Kept, Opened, ReadJob, UnreadableJob, open_job, refusal
from daemon.words import Words
from ledger.entry import Meta
from ledger.errors import LedgerError
from ledger.ledger import Ledger
from ledger.slices import SLICE, let_go
from ledger.timestamps import to_timestamp

log = structlog.get_logger()


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
        for job, candidates in jobs:
            await let_go(job.planned.wanted)
            await let_go(candidates.good)
            await let_go(candidates.rejected)
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
                job = open_job(self._inbox, place, known, self._intake.needs)
            except Vanished:
                log.info("drop.vanished", drop=place.name)
                continue
            ready = isinstance(job, UnreadableJob) or self._completeness.has_pictures(
                place, job.planned
            )
            if ready:
                opened.append(job)
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
        filings: dict[str, Filing] = {}  # by batch

        async def also(job: ReadJob, receipt: Receipt) -> tuple[Meta]:
            """Write down, with the receipt, that the drop is to be put away."""
            many = len(receipt.rejected) + len(receipt.duplicates) > SLICE
            file = partial(_filed, job, receipt, self._words, at)
            filings[receipt.batch_id], meta = await asyncio.to_thread(file) if many else file()
            return (meta,)

        brought = [(candidates, partial(also, job)) for job, candidates in jobs]
        decided: list[tuple[str, Filing] | BaseException] = []
        for (job, _), receipt in zip(jobs, await self._intake.record(brought), strict=True):
            if isinstance(receipt, BaseException):
                decided.append(receipt)
                continue
            decided.append((receipt.batch_id, filings[receipt.batch_id]))
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
        key, filing = job.filing(self._words, self._now())
        change = refusal(key, filing)
        await self._ledger.commit(*change.records, op=change.op, actor=change.actor)
        log.warning("drop.refused", drop=job.place.name, reason=str(job.error))
        return key, filing

    def _now(self) -> str:
        return to_timestamp(self._clock.now())


def _filed(job: ReadJob, receipt: Receipt, words: Words, at: str) -> tuple[Filing, Meta]:
    filing = job.filing(receipt, words, at)
    return filing, filing.as_meta(receipt.batch_id)


def _all_candidates(jobs: Sequence[ReadJob], kept: Sequence[Kept]) -> list[Candidates]:
    return [candidates_of(job.planned, pictures) for job, pictures in zip(jobs, kept, strict=True)]
