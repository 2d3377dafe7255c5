"""What became of a drop: our own verdict, or what ledger and folders of the inbox tell."""

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from daemon.intake.columns import REPORT_LINE, clean_text
from daemon.intake.drops import DUPLICATES, REJECTED
from daemon.intake.filing import SECTION, Filing, from_text
from daemon.intake.reports import reason_in
from daemon.words import Words
from ledger.state import State

if TYPE_CHECKING:
    from daemon.intake.direct import Verdict

REJECTED_ENDING, DUPLICATES_ENDING, _ERROR = ".rejected.csv", ".duplicates.csv", ".error.txt"
#: Ending of a report's name -> the folder it lies in.
_PLACES = {REJECTED_ENDING: REJECTED, DUPLICATES_ENDING: DUPLICATES, _ERROR: REJECTED}


class DropOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the inbox answered; a drop may be all of these in parts."""

    name: str  # as reports and the ledger call it, see ``clean_text``
    pending: bool = False  # still in the inbox
    batch_id: str | None = None
    accepted_rows: int = 0
    rejected_rows: int = 0
    duplicate_rows: int = 0
    postponed: str | None = None  # why it is pending, if a person must do something about that
    unmoved: bool = False  # decided, but the daemon may not move it out of the inbox
    unreadable: str | None = None  # why the whole drop was refused
    reports: tuple[str, ...] = ()  # files that say more

    def report(self, ending: str) -> str:
        """Return the path of the report of this kind, empty when there is none."""
        return next((path for path in self.reports if path.endswith(ending)), "")

    @property
    def is_bad(self) -> bool:
        """Whether a person must do something before all of it runs."""
        return bool(self.rejected_rows or self.unreadable or self.postponed)


def outcome_of(name: str, verdict: "Verdict", words: Words) -> DropOutcome:
    """Return what became of the drop *name* by our own verdict."""
    receipt, unreadable = verdict.receipt, verdict.unreadable
    return DropOutcome(
        name=clean_text(name),
        batch_id=receipt.batch_id if receipt and receipt.accepted_rows else None,
        accepted_rows=receipt.accepted_rows if receipt else 0,
        rejected_rows=len(receipt.rejected) if receipt else 0,
        duplicate_rows=len(receipt.duplicates) if receipt else 0,
        unmoved=verdict.unmoved,
        unreadable=None if unreadable is None else unreadable.reason.text(words),
        reports=tuple(map(str, verdict.reports)),
    )


class OutcomeWatch:
    """Tells the inbox's answers to a drop from those that lay there before."""

    def __init__(self, inbox: Path, known_batches: frozenset[str]) -> None:
        self._inbox = inbox
        self._known_batches = known_batches
        self._known_reports = frozenset(path for ending in _PLACES for path in self._all(ending))

    def is_pending(self, name: str) -> bool:
        """Say whether the drop *name* still waits in the inbox."""
        return (self._inbox / name).exists()

    def is_unmoved(self, name: str, state: State) -> bool:
        """Say whether the drop *name* is decided, though it still lies in the inbox."""
        filings = (msgspec.convert(each, Filing) for each in state.meta.get(SECTION, {}).values())
        return self.is_pending(name) and any(from_text(each.name) == name for each in filings)

    def outcome(self, name: str, lines: frozenset[int], state: State) -> DropOutcome:
        """Return what became of the drop *name* that left the inbox; *lines* are those of its rows.

        A report that would say the same as one that lies there is not written again: an old one
        counts when it speaks of lines that nothing else speaks of.
        """
        name = clean_text(name)
        batch_id, accepted = self._accepted(name, state)
        reports = {ending: self._new_report(name, ending) for ending in _PLACES}
        error = reports[_ERROR]
        untold = lines.difference(accepted, *map(_lines_in, filter(None, reports.values())))
        for ending in (REJECTED_ENDING, DUPLICATES_ENDING) if error is None else ():
            old = self._inbox / _PLACES[ending] / (name + ending)
            if reports[ending] is None and old in self._known_reports:
                spoken_of = _lines_in(old)
                if spoken_of <= untold:
                    reports[ending], untold = old, untold - spoken_of
        return DropOutcome(
            name=name,
            batch_id=batch_id,
            accepted_rows=len(accepted),
            rejected_rows=len(_lines_in(reports[REJECTED_ENDING])),
            duplicate_rows=len(_lines_in(reports[DUPLICATES_ENDING])),
            unreadable=None if error is None else _reason_in(error),
            reports=tuple(str(path) for path in reports.values() if path is not None),
        )

    def _accepted(self, name: str, state: State) -> tuple[str | None, frozenset[int]]:
        """Return the drop's batch and the lines of the rows in it."""
        for batch in state.batches.values():
            if batch.batch_id not in self._known_batches and batch.source.name == name:
                mine = (task for task in state.tasks.values() if task.batch_id == batch.batch_id)
                sources = (task.metadata.source for task in mine)
                lines = (source.line for source in sources if source is not None)
                return batch.batch_id, frozenset(line for line in lines if line is not None)
        return None, frozenset()

    def _new_report(self, name: str, ending: str) -> Path | None:
        called = re.compile(re.escape(name) + r"(-\d+)?" + re.escape(ending))
        new = (path for path in self._all(ending) if path not in self._known_reports)
        return next((path for path in new if called.fullmatch(path.name)), None)

    def _all(self, ending: str) -> list[Path]:
        folder = self._inbox / _PLACES[ending]
        return sorted(path for path in folder.glob("*") if path.name.endswith(ending))


def _lines_in(report: Path | None) -> frozenset[int]:
    """Return the lines of the rows that a report is about."""
    if report is None or report.suffix != ".csv":
        return frozenset()
    with report.open(encoding="utf-8-sig", newline="") as file:
        lines = [row.get(REPORT_LINE) or "" for row in csv.DictReader(file)]
    return frozenset(int(line) for line in lines if line.isdecimal())


def _reason_in(report: Path) -> str:
    return reason_in(report.read_text("utf-8", errors="replace"))
