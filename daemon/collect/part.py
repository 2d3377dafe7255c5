"""The file a download grows in: ``<final>.part``, with a note beside it of what it is a part of.

All functions block; they run in threads.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import TypeAlias

import msgspec

from daemon import failpoint
from daemon.clock import boot_id
from daemon.collect.digest import Digest
from daemon.comfy.server import FileHead
from daemon.durable import make_folder
from daemon.words.recorded import recorded
from ledger.freeing import freed_bit_by_bit

#: Makes the folder of a part, where it is missing.
MakeFolder: TypeAlias = Callable[[Path], None]

#: Bytes read at a time.
PIECE_BYTES = 1 << 20
#: So few chunks are hashed and written as they came; more of them as one piece: each call that lets
#: go of the interpreter's lock may have to wait for it.
FEW_CHUNKS = 8
#: The disk is told to begin after so much: all of it at the end would take as long as the download.
WRITE_BACK_BYTES = 8 << 20


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What the bytes in a part were taken from, and when the machine was started.

    After a power cut a part may hold bytes that never reached the disk, so another boot makes it
    worthless.
    """

    size_bytes: int
    last_modified: str | None
    boot_id: str


class Part:
    """A growing file and the hash of what is in it.

    The lock keeps ``close`` behind a write whose waiter was cancelled: a write into a closed
    descriptor could hit the next file that gets its number.
    """

    def __init__(self, path: Path, head: FileHead, make: MakeFolder = make_folder) -> None:
        """Open *path*, keeping its bytes when they are surely the beginning of this file."""
        self._path = path
        make(path.parent)
        self._lock = threading.Lock()
        self._digest = Digest()
        kept = _is_resumable(path, head)
        if not kept:
            discard(path)
            _write_note(path, head)
        self._file = path.open("r+b" if kept else "xb", buffering=0)
        try:
            self._read_back()
        except BaseException:
            self.close()
            raise

    def _read_back(self) -> None:
        self.size_bytes = self._given_to_disk_bytes = 0
        if self._file.readable():
            while piece := self._file.read(PIECE_BYTES):
                self._digest.update([piece])
                self.size_bytes += len(piece)

    def truncate(self) -> None:
        """Forget all bytes: the server sends the file from its start."""
        with self._lock:
            self._file.truncate(0)
            self._file.seek(0)
            self._digest.forget()
            self.size_bytes = self._given_to_disk_bytes = 0

    def write(self, chunks: list[bytes]) -> None:
        """Append the chunks; their hash may be behind, ``finish`` waits for it."""
        pieces = chunks if len(chunks) <= FEW_CHUNKS else [b"".join(chunks)]
        with self._lock:
            self._digest.update(pieces)
            for piece in pieces:
                self._append(piece)
            self._begin_write_back()
        failpoint.reach("download.in_the_middle")

    def _append(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:  # a write may take less than it was given
            rest = rest[self._file.write(rest) :]
        self.size_bytes += len(piece)

    def _begin_write_back(self) -> None:
        """Have the disk begin with what was written, if that is much; nobody waits for it.

        Nothing counts for it: only ``finish`` makes a promise. Linux begins to write what it is
        told that nobody will read, and keeps what is not on disk yet (mm/fadvise.c).
        """
        since = self._given_to_disk_bytes
        if self.size_bytes - since < WRITE_BACK_BYTES:
            return
        self._given_to_disk_bytes = self.size_bytes
        with suppress(OSError):  # advice; a file system may know none
            fd, dont_need = self._file.fileno(), os.POSIX_FADV_DONTNEED
            os.posix_fadvise(fd, since, self.size_bytes - since, dont_need)

    def finish(self) -> str:
        """Make the bytes durable and return their sha256."""
        with self._lock:
            failpoint.reach("download.before_fsync")
            os.fsync(self._file.fileno())
            failpoint.reach("download.after_fsync")
            return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of the file; its bytes stay for the next attempt."""
        with self._lock:
            self._file.close()
            self._digest.close()


def part_of(final: Path) -> Path:
    """Return where the bytes of *final* are gathered until they are proven."""
    return final.with_name(f"{final.name}.part")


def open_new(path: Path, head: FileHead, make: MakeFolder = make_folder) -> Part:
    """Open a part of which nothing is there yet; raises FileExistsError when its name is taken."""
    final = path.with_name(path.name.removesuffix(".part"))
    if os.path.lexists(final):
        raise FileExistsError(recorded("file_there", path=final))
    return Part(path, head, make)


def write_whole(path: Path, content: bytes, make: MakeFolder = make_folder) -> str:
    """Write a file that is here in one piece, make it durable and return its sha256.

    Without a note: what a crash leaves of it is thrown away.
    """
    with _open_empty(path, make) as file:
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]
        failpoint.reach("download.in_the_middle")
        failpoint.reach("download.before_fsync")
        os.fsync(file.fileno())
        failpoint.reach("download.after_fsync")
    return hashlib.sha256(content).hexdigest()


def _open_empty(path: Path, make: MakeFolder) -> FileIO:
    """Open *path* anew; mostly its folder is there and itself is not, so that is tried first."""
    try:
        return FileIO(path, "xb")
    except FileExistsError:
        discard(path)
    except FileNotFoundError:
        make(path.parent)
    return FileIO(path, "xb")


def discard(path: Path) -> None:
    """Remove a part and its note; missing ones are no error."""
    with freed_bit_by_bit(path):
        path.unlink(missing_ok=True)
    discard_note(path)


def discard_note(path: Path) -> None:
    """Remove the note of a part; a missing one is no error."""
    _note_of(path).unlink(missing_ok=True)


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.note")


def _note_for(head: FileHead) -> Note:
    return Note(size_bytes=head.size_bytes, last_modified=head.last_modified, boot_id=boot_id())


def _write_note(path: Path, head: FileHead) -> None:
    _note_of(path).write_bytes(msgspec.json.encode(_note_for(head)))


def _is_resumable(path: Path, head: FileHead) -> bool:
    """Say whether the part was taken from this very file since the machine was started."""
    try:
        note = msgspec.json.decode(_note_of(path).read_bytes(), type=Note)
        return note == _note_for(head) and path.stat().st_size <= head.size_bytes
    except (OSError, msgspec.DecodeError):
        return False
