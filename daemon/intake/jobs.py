"""A drop whose job file was read, and what is filed of it. Blocks; loads no event loop."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from daemon.intake.candidates import Drop, PlannedDrop, plan_rows
from daemon.intake.columns import WorkflowNeeds, clean_text
from daemon.intake.deciding import Change, Receipt
from daemon.intake.drops import DropPlace
from daemon.intake.errors import BadPicture, Unreadable
from daemon.intake.filing import Filing, new_filing
from daemon.intake.reading import read_job
from daemon.intake.records import new_batch_id
from daemon.intake.reports import ReportedRow
from daemon.words import Words
from ledger.task import InputFile

_TAKEN_TOGETHER = 64  # drops that share a few trips to the disk
_TOGETHER_BYTES = 256 * 1024  # of job files; a larger one is taken alone


class ReadJob(msgspec.Struct, frozen=True):
    """A drop whose job file was read: what its rows want, and what its reports will need."""

    place: DropPlace
    planned: PlannedDrop
    headings: dict[str, str]
    sha256: str

    def filing(self, receipt: Receipt, words: Words, at: str) -> Filing:
        """Return what is to be done after the verdict; its reasons in the language of *words*."""
        words = words.about(self.headings)
        return new_filing(
            self.place,
            at,
            sha256=self.sha256,
            accepted_rows=receipt.accepted_rows,
            headings=self.headings,
            rejected=tuple(ReportedRow.of(row, words) for row in receipt.rejected),
            duplicates=tuple(ReportedRow.of(row, words) for row in receipt.duplicates),
        )


class UnreadableJob(msgspec.Struct, frozen=True):
    """A drop of which nothing can be taken, and why."""

    place: DropPlace
    error: Unreadable

    def filing(self, words: Words, at: str) -> tuple[str, Filing]:
        """Return what is to be done with it, and a key for that."""
        filing = new_filing(self.place, at, error=self.error.reason.text(words))
        return new_batch_id(clean_text(self.place.name)), filing


Opened: TypeAlias = ReadJob | UnreadableJob
Kept: TypeAlias = dict[str, InputFile | BadPicture]


def open_job(
    inbox: Path, place: DropPlace, known: frozenset[str], needs: Mapping[str, WorkflowNeeds]
) -> Opened:
    """Read the job file of the drop at *place*; raises Vanished.

    *known* are the columns that mean something.
    """
    try:
        job, sha256 = read_job(inbox, place, known)
    except Unreadable as error:
        return UnreadableJob(place, error)
    file = inbox / (place.job or place.name)
    drop = Drop(
        name=place.name,
        job=file.name,
        rows=job.rows,
        pictures_in=file.parent,
        options=job.options,
    )
    return ReadJob(place, plan_rows(drop, needs), job.headings, sha256)


def refusal(key: str, filing: Filing) -> Change:
    """Return what is written of a drop that was refused whole."""
    return Change(records=(filing.as_meta(key),), op="drop.refused", actor="inbox")


def taken_together(ready: Sequence[DropPlace]) -> Iterator[list[DropPlace]]:
    """Part what is ready, in its order, so that neither many nor large job files add up."""
    group: list[DropPlace] = []
    size_bytes = 0
    for place in ready:
        size_bytes += place.sight.size_bytes
        if group and (len(group) == _TAKEN_TOGETHER or size_bytes > _TOGETHER_BYTES):
            yield group
            group, size_bytes = [], place.sight.size_bytes
        group.append(place)
    if group:
        yield group
