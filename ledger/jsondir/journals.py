"""The journals of a ledger folder: live ones, and closed ones gzipped in ``archive/``."""

import contextlib
import gzip
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
from isal.isal_zlib import crc32

from ledger.errors import LedgerDamaged
from ledger.jsondir.journal import first_seq_of, journal_name
from ledger.jsondir.scan import scan

ARCHIVE = "archive"
#: What a line may be about that has an id of its own.
Kind: TypeAlias = Literal["task", "batch"]
_UNREADABLE = sys.maxsize


class ArchivedIndex(msgspec.Struct, frozen=True):
    """What stands beside an archived journal, to answer without unpacking it."""

    first_seq: int
    last_seq: int
    last_at: str
    tasks: dict[str, list[int]]  # task id → its lines, the first line of the file is 1


indexes = msgspec.json.Decoder(ArchivedIndex)


class JournalPlace(msgspec.Struct, frozen=True):
    """A journal by the seq it begins with; it moves to the archive but never changes its name."""

    folder: Path
    first_seq: int

    @property
    def live(self) -> Path:
        """Where it lies as long as it may be needed for the state."""
        return self.folder / journal_name(self.first_seq)

    @property
    def archived(self) -> Path:
        """Where it lies later."""
        return self.folder / ARCHIVE / (journal_name(self.first_seq) + ".gz")

    @property
    def index(self) -> Path:
        """What stands beside the archived one: which task is on which lines."""
        return self.folder / ARCHIVE / (journal_name(self.first_seq) + ".index.json")

    def read(self) -> bytes:
        """Return its bytes wherever it lies; raises FileNotFoundError, LedgerDamaged."""
        try:
            return self.live.read_bytes()
        except FileNotFoundError:
            return read_gzip(self.archived)


def read_gzip(path: Path) -> bytes:
    """Return the unpacked bytes; raises LedgerDamaged when they cannot be unpacked."""
    try:
        return gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise LedgerDamaged(f"{path.name} cannot be unpacked: {error}") from error


def live_journals(folder: Path) -> list[JournalPlace]:
    """Return the journals that are not archived, oldest first."""
    return _places(folder, folder.glob("journal-*.jsonl"))


def all_journals(folder: Path) -> list[JournalPlace]:
    """Return all journals there are, oldest first; one that lies in both places counts once.

    The live ones are listed first: a journal that is archived meanwhile is then seen in either.
    """
    live = list(folder.glob("journal-*.jsonl"))
    archived = list((folder / ARCHIVE).glob("journal-*.jsonl.gz"))
    return _places(folder, [*live, *archived])


def archived_journals(
    folder: Path, *, up_to: int = _UNREADABLE, beyond: int = -1
) -> list[JournalPlace]:
    """Return the archived journals whose last change is at most *up_to* and after *beyond*."""
    paths = (folder / ARCHIVE).glob("journal-*.jsonl.gz")
    return [place for place in _places(folder, paths) if beyond < last_seq_of(place) <= up_to]


def last_seq_of(place: JournalPlace) -> int:
    """Return the seq of an archived journal's last change; the greatest when nobody knows."""
    with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
        return indexes.decode(place.index.read_bytes()).last_seq
    try:
        return scan(read_gzip(place.archived), place.archived.name).last_seq
    except LedgerDamaged:
        return _UNREADABLE


def may_tell(place: JournalPlace, quoted: bytes) -> bool:
    """Say whether a journal may tell of a task, whose id is *quoted*, without unpacking it.

    Its index is asked: unpacking a journal costs a hundred times more.
    """
    if place.live.exists():
        return True
    try:
        return quoted in place.index.read_bytes()
    except FileNotFoundError:
        return True


def record_in_journals(
    folder: Path, kind: Kind, record_id: str, size_bytes: int, crc: int
) -> bytes | None:
    """Return the version of a record that has this size and checksum, as a journal holds it."""
    quoted = msgspec.json.encode(record_id)
    lead = b'"%b":' % kind.encode()
    beginning = b'%b{"%b_id":%b' % (lead, kind.encode(), quoted)
    for place in reversed(all_journals(folder)):
        try:
            told = kind == "batch" or may_tell(place, quoted)  # indexes tell of tasks alone
            data = place.read() if told else b""
        except (FileNotFoundError, LedgerDamaged):
            continue  # another one may tell
        at = len(data)
        while (at := data.rfind(beginning, 0, at)) >= 0:
            begin = at + len(lead)
            if crc32(encoded := data[begin : begin + size_bytes]) == crc:
                return encoded
    return None


def _places(folder: Path, paths: Iterable[Path]) -> list[JournalPlace]:
    seqs = {seq for path in paths if (seq := first_seq_of(path)) is not None}
    return [JournalPlace(folder, seq) for seq in sorted(seqs)]
