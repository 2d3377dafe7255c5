"""Reading the job file of a drop, provided that it is still the one that was looked at."""

import hashlib
import os
from pathlib import Path

from daemon import failpoint
from daemon.intake.drops import DropPlace, sight_of
from daemon.intake.errors import Unreadable, Vanished
from daemon.intake.grid import JobFile
from daemon.intake.jobfile import MAX_JOB_FILE_BYTES, read_job_file, too_big
from daemon.intake.reasons import because
from daemon.intake.safeopen import open_inside, reason_of


def read_job(inbox: Path, place: DropPlace, known: frozenset[str]) -> tuple[JobFile, str]:
    """Return the rows of the drop at *place* and the sha256 of its job file.

    Raises Unreadable with the reason, or Vanished when the file went away or changed since it
    was looked at; a file over the limit is not read at all.
    """
    if place.problem is not None or place.job is None:
        raise Unreadable.because(place.problem or because("no_job"))
    failpoint.reach("intake.before_read")
    try:
        descriptor = open_inside(inbox, place.job)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Vanished(str(place.job)) from error
    except OSError as error:
        raise Unreadable("not_taken", why=reason_of(error)) from error
    failpoint.reach("intake.opened")
    try:
        data = _read_unchanged(descriptor, place)
    except OSError as error:
        raise Unreadable("not_taken", why=reason_of(error)) from error
    finally:
        os.close(descriptor)
    return read_job_file(place.job.name, data, known), hashlib.sha256(data).hexdigest()


def _read_unchanged(descriptor: int, place: DropPlace) -> bytes:
    if sight_of(os.fstat(descriptor)) != place.sight:
        raise Vanished(str(place.job))
    if place.sight.size_bytes > MAX_JOB_FILE_BYTES:
        raise too_big(place.sight.size_bytes)
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        data = file.read(place.sight.size_bytes + 1)  # one more, if it has grown
    if sight_of(os.fstat(descriptor)) != place.sight or len(data) != place.sight.size_bytes:
        raise Vanished(str(place.job))
    return data
