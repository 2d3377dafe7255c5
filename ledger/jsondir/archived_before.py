"""Whether a row was accepted and archived before: made ready for whoever takes rows in."""

from collections.abc import Container
from pathlib import Path

import msgspec

from ledger.fingerprints import Fingerprints, KnownFingerprints
from ledger.jsondir import archive
from ledger.jsondir.archive_mending import mend_indexes
from ledger.jsondir.archived_rows import catch_up, gone_of
from ledger.jsondir.files import Disk


class ArchivedBefore(msgspec.Struct, frozen=True, kw_only=True):
    """What knows the archived rows, and what was found on the way."""

    rows: KnownFingerprints
    mended: list[str] = []  # indexes that were made again
    gone: list[str] = []  # indexes whose rows are known though they are gone
    unwritten: OSError | None = None  # why the rows are held in memory


def archived_before(folder: Path, disk: Disk, at: str, known: Container[str]) -> ArchivedBefore:
    """Return what knows the archived rows; what tells of them is made again if need be.

    *at*, a timestamp, and *known* tasks: see ``mend_indexes``. Needs the lock. A disk that takes
    nothing, full perhaps, is no reason to stop. Raises LedgerDamaged, or OSError when the archive
    cannot be read. A crash leaves each file of it as it was, or whole.
    """
    mended = mend_indexes(folder, disk, at, known)
    try:
        rows = catch_up(folder, disk)
    except OSError as error:
        held = Fingerprints(archive.fingerprints(folder))
        return ArchivedBefore(rows=held, mended=mended, unwritten=error)
    return ArchivedBefore(rows=rows, mended=mended, gone=gone_of(rows, folder))
