"""Taking one complete drop: read, decide through the door, put away."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from daemon.clock import Clock
from daemon.intake.accept import Door, Drop, Verdict
from daemon.intake.columns import clean_text, known_columns
from daemon.intake.drops import DropPlace
from daemon.intake.errors import Postponed, Unreadable, Vanished
from daemon.intake.filing import Filing, FilingClerk, new_filing
from daemon.intake.grid import JobFile
from daemon.intake.reading import read_job
from daemon.intake.records import new_batch_id
from ledger.entry import Meta
from ledger.errors import LedgerError
from ledger.ledger import Ledger
from ledger.timestamps import to_timestamp

log = structlog.get_logger()


class Taker:
    """Decides complete drops, each in one transaction."""

    def __init__(self, inbox: Path, door: Door, ledger: Ledger, clock: Clock) -> None:
        self._inbox = inbox
        self._door = door
        self._ledger = ledger
        self._clock = clock
        self.clerk = FilingClerk(ledger, inbox)

    async def take(self, places: Sequence[DropPlace]) -> tuple[int, Postponed | None]:
        """Decide the drops one after the other, then put them away side by side.

        Returns how many were decided, and why the rest was postponed, if so. A drop that went
        away meanwhile is no fault of anybody. A crash leaves decided drops to ``FilingClerk``.
        """
        decided: list[tuple[str, Filing]] = []
        postponed: Postponed | None = None
        for place in places:
            try:
                decided.append(await self._decide(place))
            except Vanished:
                log.info("drop.vanished", drop=place.name)
            except Postponed as error:
                postponed = error
            except LedgerError as error:
                postponed = Postponed(str(error))
            if postponed is not None:
                log.warning("drop.postponed", drop=place.name, reason=str(postponed))
                break
        await asyncio.gather(*(self.clerk.finish(key, filing) for key, filing in decided))
        return len(decided), postponed

    async def _decide(self, place: DropPlace) -> tuple[str, Filing]:
        known = known_columns(self._door.needs)
        try:
            job, sha256 = await asyncio.to_thread(read_job, self._inbox, place, known)
        except Unreadable as error:
            return await self._refuse(place, str(error))
        return await self._accept(place, job, sha256)

    async def _refuse(self, place: DropPlace, reason: str) -> tuple[str, Filing]:
        key = new_batch_id(clean_text(place.name))
        filing = new_filing(place, self._now(), error=reason)
        await self._ledger.commit(filing.as_meta(key), op="drop.refused", actor="inbox")
        log.warning("drop.refused", drop=place.name, reason=reason)
        return key, filing

    async def _accept(self, place: DropPlace, job: JobFile, sha256: str) -> tuple[str, Filing]:
        folder = (self._inbox / (place.job or place.name)).parent
        drop = Drop(name=place.name, rows=job.rows, pictures_in=folder, options=job.options)
        at = self._now()

        def filing_of(verdict: Verdict) -> Filing:
            return new_filing(
                place,
                at,
                sha256=sha256,
                accepted_rows=verdict.accepted_rows,
                headings=job.headings,
                rejected=verdict.rejected,
                duplicates=verdict.duplicates,
            )

        def also(verdict: Verdict) -> tuple[Meta]:
            return (filing_of(verdict).as_meta(verdict.batch_id),)

        verdict = await self._door.accept(drop, also)
        log.info(
            "drop.decided",
            drop=place.name,
            batch=verdict.batch_id,
            accepted=verdict.accepted_rows,
            rejected=len(verdict.rejected),
            duplicates=len(verdict.duplicates),
        )
        return verdict.batch_id, filing_of(verdict)

    def _now(self) -> str:
        return to_timestamp(self._clock.now())
