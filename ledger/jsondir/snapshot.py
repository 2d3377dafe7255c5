"""ledger.json: the whole state as of a seq, one record a line, readable with ``jq``.

It bears a checksum like a journal line. A new one is made from the one before and the changes
since, line by line, so that its making needs no memory and never holds the interpreter for long.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import msgspec
import orjson

from ledger.batch import Batch
from ledger.entry import ARCHIVED, Meta, Record
from ledger.errors import LedgerDamaged
from ledger.jsondir.journal import CRC_BYTES, is_sealed
from ledger.state import Sections, State, claimed_ids, count_id, empty_sections, set_meta
from ledger.task import Json, Task
from ledger.upgrade import FORMAT, upgraded

CURRENT = "ledger.json"
PREVIOUS = "ledger.previous.json"

_BATCHES = b'},"batches":{\n'
_META = b'},"meta":{\n'
_KEY = re.compile(rb'"(?:[^"\\]|\\.)*"')


class Document(msgspec.Struct, frozen=True):
    """A snapshot as read back; tasks stay encoded."""

    format: int
    written_at: str
    last_seq: int
    tasks: dict[str, msgspec.Raw]
    batches: dict[str, msgspec.Raw]
    meta: dict[str, dict[str, Json]]


class _Head(msgspec.Struct, frozen=True):
    format: int


_documents = msgspec.json.Decoder(Document)
_heads = msgspec.json.Decoder(_Head)
_batches = msgspec.json.Decoder(Batch)
_encoder = msgspec.json.Encoder()


def encode_batch(batch: Batch) -> bytes:
    """Return the batch as JSON."""
    return _encoder.encode(batch)


class Changes:
    """What happened since a snapshot: the newest encoded form of each record, None when it went.

    ``whole``: since the empty ledger; no snapshot is needed to make the next one.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole
        self.tasks: dict[str, bytes | None] = {}
        self.batches: dict[str, bytes | None] = {}
        self.meta: dict[tuple[str, str], Meta] = {}
        self.claimed: dict[str, str] = {}  # by counter; a claim may be gone again by now

    @classmethod
    def of(cls, state: State) -> Self:
        """Return all of *state* as changes."""
        changes = cls(whole=True)
        for task_id in state.tasks:
            changes.tasks[task_id] = state.tasks.encoded(task_id)
        for batch_id, batch in state.batches.items():
            changes.batches[batch_id] = encode_batch(batch)
        for section, values in state.meta.items():
            for key, value in values.items():
                changes.meta[section, key] = Meta(section=section, key=key, value=value)
        return changes

    def __bool__(self) -> bool:
        return bool(self.tasks or self.batches or self.meta)

    def add(self, record: Record, encoded: bytes) -> None:
        """Take in a durable record."""
        if isinstance(record, Task):
            self.tasks[record.task_id] = encoded
        elif isinstance(record, Batch):
            self.batches[record.batch_id] = encoded
        elif record.section == ARCHIVED:
            self.tasks[record.key] = None
        else:
            self.meta[record.section, record.key] = record
            for task_id in claimed_ids(record):
                self.claimed[task_id.rpartition("_")[0]] = task_id

    def follow(self, later: "Changes") -> None:
        """Take in the changes that came after these."""
        self.tasks.update(later.tasks)
        self.batches.update(later.batches)
        self.meta.update(later.meta)
        self.claimed.update(later.claimed)

    def apply_to_meta(self, sections: Sections) -> None:
        """Bring a meta part up to date, the counters of the ids seen included."""
        for record in self.meta.values():
            set_meta(sections, record)
        for task_id in (*self.tasks, *self.claimed.values()):
            count_id(sections, task_id)


def read(data: bytes) -> State:
    """Return the state a snapshot's bytes hold.

    Raises LedgerDamaged when they are not as they were written, LedgerTooNew for a newer format.
    """
    try:
        found = _heads.decode(data).format
        if not (data.endswith(b"\n") and is_sealed(memoryview(data)[:-1])):
            raise LedgerDamaged("the checksum does not fit")
        document = _documents.decode(upgraded(data, found))
        state = State(last_seq=document.last_seq, meta=empty_sections() | document.meta)
        for raw in document.tasks.values():
            state.tasks.put_encoded(bytes(raw))
        for batch_id, raw in document.batches.items():
            state.batches[batch_id] = _batches.decode(raw)
    except msgspec.MsgspecError as error:
        raise LedgerDamaged(str(error)) from error
    return state


def merged(base: Path | None, changes: Changes, last_seq: int, at: str) -> Iterator[bytes]:
    """Yield the snapshot that *changes* make of *base* (None: of an empty ledger).

    Raises LedgerDamaged, at the latest at its end, when *base* is not as it was written; what was
    yielded is then worth nothing.
    """
    if base is None:
        sections = empty_sections()
        changes.apply_to_meta(sections)
        yield from _sealed(_document(None, changes, sections, last_seq, at))
        return
    with _Base(base) as before:
        yield from _sealed(_document(before, changes, {}, last_seq, at))


class _Base:
    """The snapshot before, read once from its first line to its last, with its checksum."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._crc = 0

    def __enter__(self) -> Self:
        self._file = self._path.open("rb")
        head = self._next()
        if not (head.startswith(b'{"format":%d,' % FORMAT) and head.endswith(b'"tasks":{\n')):
            raise LedgerDamaged(f"{self._path.name} begins in an unknown way")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def tasks(self) -> Iterator[bytes]:
        yield from self._until(_BATCHES)

    def batches(self) -> Iterator[bytes]:
        yield from self._until(_META)

    def sections(self, changes: Changes) -> Sections:
        rest = self._file.read()
        body = rest[: -CRC_BYTES - 1]
        if b',"crc":"%08x"}\n' % zlib.crc32(body, self._crc) != rest[-CRC_BYTES - 1 :]:
            raise LedgerDamaged(f"{self._path.name}: the checksum does not fit")
        sections: Sections = orjson.loads(b"{" + body)
        changes.apply_to_meta(sections)
        return sections

    def _until(self, end: bytes) -> Iterator[bytes]:
        while (line := self._next()) != end:
            if not line:
                raise LedgerDamaged(f"{self._path.name} ends too early")
            yield line

    def _next(self) -> bytes:
        line = self._file.readline()
        self._crc = zlib.crc32(line, self._crc)
        return line


def _document(
    before: "_Base | None", changes: Changes, sections: Sections, last_seq: int, at: str
) -> Iterator[bytes]:
    yield b'{"format":%d,"written_at":%b,"last_seq":%d,"tasks":{\n' % (
        FORMAT,
        orjson.dumps(at),
        last_seq,
    )
    yield from _records(before.tasks() if before else (), changes.tasks)
    yield _BATCHES
    yield from _records(before.batches() if before else (), changes.batches)
    yield _META
    if before:
        sections = before.sections(changes)
    lines = (b"%b:%b" % (orjson.dumps(name), orjson.dumps(sections[name])) for name in sections)
    yield b",\n".join(lines) + b"}"


def _records(lines: Iterable[bytes], changed: dict[str, bytes | None]) -> Iterator[bytes]:
    """Yield the lines with the changed records in their place and the new ones behind."""
    left = {orjson.dumps(key): encoded for key, encoded in changed.items()}
    separator = b""
    for line in lines:
        key = _KEY.match(line)
        if key is None:
            raise LedgerDamaged("a line of the snapshot has no key")
        body: bytes | None = line.rstrip(b",\n")
        if key[0] in left:
            encoded = left.pop(key[0])
            body = None if encoded is None else b"%b:%b" % (key[0], encoded)
        if body is not None:
            yield separator + body
            separator = b",\n"
    for encoded_key, encoded in left.items():
        if encoded is not None:
            yield b"%b%b:%b" % (separator, encoded_key, encoded)
            separator = b",\n"
    if separator:
        yield b"\n"


def _sealed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    crc = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
        yield piece
    yield b',"crc":"%08x"}\n' % crc
