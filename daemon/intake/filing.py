"""What is left to do with a drop whose rows are decided, as it stands in the ledger.

The verdict's transaction holds it; ``putting_away`` does it.
"""

import base64
import os

import msgspec

from daemon.intake.columns import clean_text
from daemon.intake.drops import ACCEPTED, DUPLICATES, REJECTED, DropPlace
from daemon.intake.reports import ReportedRow
from daemon.intake.settling import Sight
from ledger.entry import Meta

SECTION = "drops"
_ENCODED = "base64:"  # how a name that is not UTF-8 stands in the ledger


class Filing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is left to do with a drop whose rows are decided."""

    name: str  # of the entry in the inbox, see ``to_text``
    job: str | None = None  # the job file, relative to the inbox
    sight: Sight  # of the job file, else of the entry
    sha256: str | None = None  # of the job file, if it was read
    goes_to: str  # folder, relative to the inbox
    decided_at: str
    error: str | None = None
    headings: dict[str, str] = {}
    rejected: tuple[ReportedRow, ...] = ()
    duplicates: tuple[ReportedRow, ...] = ()

    def as_meta(self, key: str) -> Meta:
        """Return the ledger's record of it."""
        return Meta(section=SECTION, key=key, value=msgspec.to_builtins(self))


def new_filing(
    place: DropPlace,
    at: str,
    *,
    sha256: str | None = None,
    accepted_rows: int = 0,
    error: str | None = None,
    headings: dict[str, str] | None = None,
    rejected: tuple[ReportedRow, ...] = (),
    duplicates: tuple[ReportedRow, ...] = (),
) -> Filing:
    """Return what is to be done with the drop at *place* after its verdict."""
    if accepted_rows:
        goes_to = f"{ACCEPTED}/{at[:10]}"
    else:
        goes_to = DUPLICATES if duplicates and not rejected else REJECTED
    return Filing(
        name=to_text(place.name),
        job=to_text(str(place.job)) if place.job else None,
        sight=place.sight,
        sha256=sha256,
        goes_to=goes_to,
        decided_at=at,
        error=error,
        headings=headings or {},
        rejected=rejected,
        duplicates=duplicates,
    )


def to_text(name: str) -> str:
    """Return *name*, a path, as text that JSON can carry and ``from_text`` reads back."""
    if clean_text(name) == name and not name.startswith(_ENCODED):
        return name
    return _ENCODED + base64.b64encode(os.fsencode(name)).decode()


def from_text(text: str) -> str:
    """Return the path that ``to_text`` wrote."""
    if not text.startswith(_ENCODED):
        return text
    return os.fsdecode(base64.b64decode(text.removeprefix(_ENCODED)))
