"""How far ids and change numbers have been given, kept beside the ledger's folder.

Whoever puts an older copy of the folder in its place does not put this back with it: so the ids and
numbers given since are known, and are not given again. ``ledger`` has ``ledger.given.json``.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from ledger.jsondir.files import Disk
from ledger.task import Json

#: So many ids of a day, or changes, are taken to have been given beyond the mark, by whoever does
#: not know better. A mark that was copied to another machine at night is behind by a day.
IDS_AHEAD, CHANGES_AHEAD = 100_000, 1_000_000
#: It is written anew, with a snapshot, when this part is used up: seldom, never on a commit's way.
_DUE_SHARE = 0.1


class Mark(msgspec.Struct, frozen=True):
    """What had been given when it was written; a number never goes down."""

    last_seq: int = 0
    counters: dict[str, int] = {}

    def raised(self, last_seq: int, counters: Mapping[str, Json]) -> "Mark":
        """Return the mark that has seen these, too."""
        known = {name: number for name, number in counters.items() if isinstance(number, int)}
        most = {
            name: max(self.counters.get(name, 0), known.get(name, 0))
            for name in (self.counters | known)
        }
        return Mark(max(self.last_seq, last_seq), most)

    def is_far_behind(self, other: "Mark") -> bool:
        """Say whether *other* has seen so much more that it is to be written."""
        return other.last_seq - self.last_seq > CHANGES_AHEAD * _DUE_SHARE or any(
            number - self.counters.get(name, 0) > IDS_AHEAD * _DUE_SHARE
            for name, number in other.counters.items()
        )


_marks = msgspec.json.Decoder(Mark)


def mark_path(folder: Path) -> Path:
    """Return where the mark of a ledger's folder lies."""
    return folder.with_name(f"{folder.name}.given.json")


def read_mark(folder: Path) -> Mark | None:
    """Return the mark of the ledger in *folder*, None when there is none that can be read."""
    try:
        return _marks.decode(mark_path(folder).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None


class HighWater:
    """Keeps the mark of one ledger; used by one thread at a time.

    A crash leaves the mark as it was or as it was to be.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._path = mark_path(folder)
        self._disk = disk
        self._written = read_mark(folder) or Mark()
        self._seen = self._written

    def reach(self, last_seq: int, counters: Mapping[str, Json]) -> None:
        """Take note, and write the mark when it is due; raises OSError."""
        self._seen = self._seen.raised(last_seq, counters)
        if self._written.is_far_behind(self._seen):
            self.write()

    def write(self) -> None:
        """Write what was reached; raises OSError."""
        if self._seen == self._written:
            return
        self._disk.write_note(self._path, msgspec.json.encode(self._seen), durable=True)
        self._written = self._seen
