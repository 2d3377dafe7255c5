"""One line of the journal: how it is written, and how it is known to be whole.

``crc`` is the CRC-32 of the line's bytes before ``,"crc"``. The lines of a transaction bear the
seq of its first line as ``tx``; its last line carries ``n``, the number of lines.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from isal.isal_zlib import crc32

from ledger.batch import Batch
from ledger.entry import Meta, Record, Transaction
from ledger.task import Json, Task

#: ``,"crc":"0123abcd"}``: the bytes after those that the checksum covers.
CRC_BYTES = 18


class Line(msgspec.Struct, frozen=True, gc=False):
    """A line as read back; records stay encoded until somebody needs them."""

    seq: int
    at: str
    actor: str
    op: str
    tx: int
    n: int | None = None
    task: bytes | None = None
    batch: bytes | None = None
    meta: Meta | None = None
    reason: str | None = None
    evidence: dict[str, Json] | None = None


class _Written(msgspec.Struct, frozen=True, gc=False):
    """A line as it is written; a Raw cannot be optional, so an empty one stands for none."""

    seq: int
    at: str
    actor: str
    op: str
    tx: int
    n: int | None = None
    task: msgspec.Raw = msgspec.Raw()
    batch: msgspec.Raw = msgspec.Raw()
    meta: Meta | None = None
    reason: str | None = None
    evidence: dict[str, Json] | None = None


_lines = msgspec.json.Decoder(_Written)


def encode(transaction: Transaction, first_seq: int, at: str) -> list[bytes]:
    """Return the transaction's lines, numbered from *first_seq*; *at* is a timestamp."""
    return encode_all([transaction], first_seq, at)


def encode_all(transactions: Sequence[Transaction], first_seq: int, at: str) -> list[bytes]:
    """Return the lines of transactions that follow one another, as ``encode`` those of one."""
    seq, stamp = first_seq, at.encode()
    lines: list[bytes] = []
    for transaction in transactions:
        if transaction.task is not None:  # as most are; said at once what the rest say in steps
            (encoded,), cause = transaction.encoded, transaction.cause
            body = _ONE_TASK % (seq, stamp, cause.author, seq, encoded, cause.why)
            lines.append(_SEALED % (body, crc32(body)))
            seq += 1
        else:
            lines += _lines_of(transaction, seq, stamp)
            seq += len(transaction.records)
    return lines


def _lines_of(transaction: Transaction, tx: int, stamp: bytes) -> Iterator[bytes]:
    last, cause = tx + len(transaction.records) - 1, transaction.cause
    changes = zip(transaction.records, transaction.encoded, strict=True)
    for seq, (record, encoded) in enumerate(changes, tx):
        number = b"" if seq < last else b',"n":%d' % len(transaction.records)
        kind = _KINDS[type(record)]
        yield sealed(_LINE % (seq, stamp, cause.author, tx, number, kind, encoded, cause.why))


def sealed(body: bytes) -> bytes:
    """Return a line (or document) with its checksum and end; *body* lacks its closing brace."""
    return _SEALED % (body, crc32(body))


def is_sealed(line: bytes | memoryview) -> bool:
    """Say whether a line without its newline bears the right checksum."""
    crc = b',"crc":"%08x"}' % crc32(line[:-CRC_BYTES])
    return len(line) > CRC_BYTES and line[-CRC_BYTES:] == crc


def decode(line: bytes) -> Line | None:
    """Return what the line says, None when it is not as it was written."""
    if not is_sealed(line):
        return None
    try:
        found = _lines.decode(line)
    except msgspec.MsgspecError:
        return None
    return Line(
        found.seq,
        found.at,
        found.actor,
        found.op,
        found.tx,
        found.n,
        bytes(found.task) or None,
        bytes(found.batch) or None,
        found.meta,
        found.reason,
        found.evidence,
    )


def journal_name(first_seq: int) -> str:
    """Return the file name of the journal that begins with *first_seq*."""
    return f"journal-{first_seq:012d}.jsonl"


def first_seq_of(path: Path) -> int | None:
    """Return the seq that a journal's name says it begins with, None for other names."""
    name = path.name.removesuffix(".gz")
    if not (name.startswith("journal-") and name.endswith(".jsonl")):
        return None
    digits = name[len("journal-") : -len(".jsonl")]
    return int(digits) if digits.isdecimal() else None


_SEALED = b'%b,"crc":"%08x"}\n'
_ONE_TASK = b'{"seq":%d,"at":"%b",%b,"tx":%d,"n":1,"task":%b,%b'
_LINE = b'{"seq":%d,"at":"%b",%b,"tx":%d%b,"%b":%b,%b'
_KINDS: dict[type[Record], bytes] = {Task: b"task", Batch: b"batch", Meta: b"meta"}
