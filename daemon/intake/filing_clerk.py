"""Putting a drop away once its verdict is in the ledger: reports, the move, then forgetting it.

The verdict's transaction holds a ``drops`` record of what is left to do; it is removed last. So
whatever a crash interrupts is done again from the record, and doing it twice changes nothing.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from daemon import failpoint
from daemon.intake.columns import clean_text
from daemon.intake.drops import DUPLICATES, REJECTED, sight_of
from daemon.intake.filing import SECTION, Filing, from_text
from daemon.intake.moving import move_into, sync_moves
from daemon.intake.reports import error_report, rows_report, write_report
from daemon.words import Words
from ledger.entry import Meta
from ledger.errors import LedgerError
from ledger.ledger import Ledger

log = structlog.get_logger()

#: Drops whose moves are made to last together.
MOVED_TOGETHER = 64


class FilingClerk:
    """Does what the ``drops`` records ask for."""

    def __init__(self, ledger: Ledger, inbox: Path, words: Words) -> None:
        self._ledger = ledger
        self._inbox = inbox
        self._words = words
        #: What could not be put away when last tried, and why, by key.
        self.unmoved: dict[str, tuple[Filing, OSError]] = {}

    def pending(self) -> dict[str, Filing]:
        """Return what is left to do, by key."""
        records = self._ledger.meta(SECTION)
        return {key: msgspec.convert(value, Filing) for key, value in records.items()}

    @property
    def left(self) -> frozenset[str]:
        """The keys of what is left to do."""
        return frozenset(self._ledger.meta(SECTION))

    async def finish_all(self) -> None:
        """Finish all that is pending; what cannot be moved now stays pending, logged."""
        pending = list(self.pending().items())
        for first in range(0, len(pending), MOVED_TOGETHER):
            await self.finish(pending[first : first + MOVED_TOGETHER])

    async def finish(self, filings: Sequence[tuple[str, Filing]]) -> None:
        """Write the reports, move the drops, forget them.

        They are moved side by side, made to last together and forgotten in one transaction.
        """
        if not filings:
            return
        put_away = await asyncio.to_thread(self._put_away, filings)
        failpoint.reach("intake.before_forgetting")
        forgotten = [Meta(section=SECTION, key=key, value=None) for key in put_away]
        if not forgotten:
            return
        try:
            await self._ledger.commit(*forgotten, op="drop.filed", actor="inbox")
        except LedgerError as error:
            log.warning("drops.not_forgotten", drops=len(forgotten), error=str(error))
            return
        failpoint.reach("intake.forgotten")

    def _put_away(self, filings: Sequence[tuple[str, Filing]]) -> list[str]:
        """Return the keys of what was moved, durably."""
        done: list[str] = []
        moved: list[Path] = []
        for key, filing in filings:
            try:
                self._report(filing)
                moved += self._move(filing)
            except OSError as error:
                self.unmoved[key] = filing, error
                log.warning("drop.not_moved", drop=filing.name, to=filing.goes_to, error=str(error))
            else:
                self.unmoved.pop(key, None)
                done.append(key)
        try:
            sync_moves(moved, self._inbox)
        except OSError as error:
            log.warning("inbox.not_synced", drops=len(done), error=str(error))
            return []
        log.info("drops.moved", drops=len(moved), last=moved[-1].name if moved else None)
        return done

    def _report(self, filing: Filing) -> None:
        for folder, ending, content in _reports(filing, self._words):
            failpoint.reach(f"intake.before_report{ending}")
            name = clean_text(from_text(filing.name))
            write_report(self._inbox / folder, name, ending, content)
            failpoint.reach(f"intake.after_report{ending}")

    def _move(self, filing: Filing) -> list[Path]:
        """Return where the drop lies now; nothing when it was moved before, or is another."""
        failpoint.reach("intake.before_move")
        moved: list[Path] = []
        if self._is_the_same(filing):
            source = self._inbox / from_text(filing.name)
            moved.append(move_into(source, self._inbox / filing.goes_to))
        failpoint.reach("intake.after_move")
        return moved

    def _is_the_same(self, filing: Filing) -> bool:
        """Say whether what lies there is what was decided on; it may be gone, or a newer drop."""
        path = self._inbox / from_text(filing.job or filing.name)
        try:
            if sight_of(path.lstat()) == filing.sight:
                return True
            return filing.sha256 is not None and _sha256(path) == filing.sha256
        except (FileNotFoundError, NotADirectoryError):
            return False


def _reports(filing: Filing, words: Words) -> list[tuple[str, str, bytes]]:
    """Return folder, ending of the name, and content of each report."""
    reports: list[tuple[str, str, bytes]] = []
    if filing.rejected:
        content = rows_report(filing.rejected, filing.headings)
        reports.append((REJECTED, ".rejected.csv", content))
    if filing.duplicates:
        content = rows_report(filing.duplicates, filing.headings)
        reports.append((DUPLICATES, ".duplicates.csv", content))
    if filing.error:
        name = clean_text(from_text(filing.name))
        content = error_report(name, filing.error, filing.decided_at, words)
        reports.append((REJECTED, ".error.txt", content))
    return reports


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
