"""What stays in the inbox and why: folders without a job file, drops that may not be moved."""

import errno
import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from config.settings import Inbox
from daemon.concern import Concern
from daemon.intake.drops import JoblessFolder, find_drops
from daemon.intake.filing import Filing, from_text
from daemon.words.retelling import SYSTEM, in_each_language, of_system
from ledger.task import Json
from ledger.timestamps import from_timestamp

#: A drop decided longer ago than that should have been moved.
_MOVED_WITHIN = timedelta(seconds=10)


def jobless(folders: Iterable[JoblessFolder], now: datetime, wait_seconds: float) -> list[Concern]:
    """Return those of *folders* in which nothing has changed for *wait_seconds*."""
    until = now.timestamp() - wait_seconds
    still = sorted((f for f in folders if f.changed_at <= until), key=lambda folder: folder.name)
    return [
        Concern("concern.job_file_below", {"name": folder.name, "job": folder.job_below})
        if folder.job_below
        else Concern("concern.no_job_file", {"name": folder.name})
        for folder in still
    ]


def unmoved(filings: Iterable[tuple[Filing, OSError | None]]) -> list[Concern]:
    """Return the concerns about drops that are decided and cannot be put away, each with why."""
    return [_unmoved(from_text(filing.name), error) for filing, error in filings]


def _unmoved(name: str, error: OSError | None) -> Concern:
    if error is None or error.errno in (errno.EACCES, errno.EPERM):
        return Concern("concern.unmoved", {"name": name})
    reason = in_each_language(of_system(error), SYSTEM)
    return Concern("concern.unfiled", {"name": name, "reason": reason})


def lying_there(inbox: Inbox, drops: Mapping[str, Json], now: datetime) -> list[Concern]:
    """Return what a look from outside finds; *drops* are the ledger's records of that name."""
    before = now - _MOVED_WITHIN
    filings = (msgspec.convert(record, Filing) for record in drops.values())
    late = [each for each in filings if from_timestamp(each.decided_at) < before]
    stuck = [each for each in late if os.path.lexists(inbox.path / from_text(each.name))]
    names = {from_text(each.name) for each in stuck}
    try:
        folders = find_drops(inbox.path).waiting_folders
    except OSError:
        folders = ()
    others = [folder for folder in folders if folder.name not in names]
    return [
        *unmoved((each, None) for each in stuck),
        *jobless(others, now, inbox.wait_for_pictures_seconds),
    ]
