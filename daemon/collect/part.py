"""The file a download grows in: ``<final>.part``, with a note beside it of what it is a part of.

All functions block; they run in threads.
"""

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path

import msgspec

from daemon import failpoint
from daemon.clock import boot_id
from daemon.comfy.server import FileHead
from daemon.durable import make_folder

#: Bytes read or written at a time.
PIECE_BYTES = 1 << 20


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

    def __init__(self, path: Path, head: FileHead) -> None:
        """Open *path*, keeping its bytes when they are surely the beginning of this file."""
        self._path = path
        make_folder(path.parent)
        self._lock = threading.Lock()
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="hashing")
        kept = _is_resumable(path, head)
        if not kept:
            discard(path)
            _write_note(path, head)
        self._file = path.open("r+b" if kept else "xb", buffering=0)
        try:
            self._read_back()
        except BaseException:
            self._file.close()
            raise

    def _read_back(self) -> None:
        self._hash = hashlib.sha256()
        self.size_bytes = self._synced_bytes = 0
        if self._file.readable():
            while piece := self._file.read(PIECE_BYTES):
                self._hash.update(piece)
                self.size_bytes += len(piece)

    def truncate(self) -> None:
        """Forget all bytes: the server sends the file from its start."""
        with self._lock:
            self._file.truncate(0)
            self._file.seek(0)
            self._hash = hashlib.sha256()
            self.size_bytes = self._synced_bytes = 0

    def write(self, chunks: list[bytes]) -> None:
        """Append the chunks."""
        # In one piece: each call that lets go of the interpreter's lock may have to wait for it.
        piece = b"".join(chunks)
        with self._lock:
            hashed = self._hashing.submit(self._hash.update, piece)  # takes as long as the write
            try:
                rest = memoryview(piece)
                while rest:  # a write may take less than it was given
                    rest = rest[self._file.write(rest) :]
            finally:
                hashed.result()
            self.size_bytes += len(piece)
        failpoint.reach("download.in_the_middle")

    @property
    def unsynced_bytes(self) -> int:
        """How much was written since the last ``sync``."""
        return self.size_bytes - self._synced_bytes

    def sync(self) -> None:
        """Have the disk take what is written by now; more may be written meanwhile.

        Nothing counts for it: only ``finish`` makes a promise. The caller waits for its end before
        he closes.
        """
        self._synced_bytes = self.size_bytes
        os.fdatasync(self._file.fileno())

    def finish(self) -> str:
        """Make the bytes durable and return their sha256."""
        with self._lock:
            failpoint.reach("download.before_fsync")
            os.fsync(self._file.fileno())
            failpoint.reach("download.after_fsync")
            return self._hash.hexdigest()

    def close(self) -> None:
        """Let go of the file; its bytes stay for the next attempt."""
        with self._lock:
            self._file.close()
            self._hashing.shutdown()  # nothing is under way: a write waits for its hash


def part_of(final: Path) -> Path:
    """Return where the bytes of *final* are gathered until they are proven."""
    return final.with_name(f"{final.name}.part")


def open_new(path: Path, head: FileHead) -> Part:
    """Open a part of which nothing is there yet; raises FileExistsError when its name is taken."""
    final = path.with_name(path.name.removesuffix(".part"))
    if os.path.lexists(final):
        raise FileExistsError(f"{final} exists")
    return Part(path, head)


def write_whole(path: Path, content: bytes) -> str:
    """Write a file that is here in one piece, make it durable and return its sha256.

    Without a note: what a crash leaves of it is thrown away.
    """
    with _open_empty(path) as file:
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]
        failpoint.reach("download.in_the_middle")
        failpoint.reach("download.before_fsync")
        os.fsync(file.fileno())
        failpoint.reach("download.after_fsync")
    return hashlib.sha256(content).hexdigest()


def _open_empty(path: Path) -> FileIO:
    """Open *path* anew; mostly its folder is there and itself is not, so that is tried first."""
    try:
        return FileIO(path, "xb")
    except FileExistsError:
        discard(path)
    except FileNotFoundError:
        make_folder(path.parent)
    return FileIO(path, "xb")


def discard(path: Path) -> None:
    """Remove a part and its note; missing ones are no error."""
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
