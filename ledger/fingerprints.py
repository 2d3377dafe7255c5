"""The fingerprints of accepted rows, in little more memory than 16 bytes each."""

import hashlib
from collections.abc import Iterable
from typing import Protocol

#: Of a fingerprint, as every row's has: a sha256 in hexadecimal.
_HEX_DIGITS = 64
#: So many of its 32 bytes are kept. That of a million million rows any two are alike in them by
#: chance is less likely than one in 10^14.
_DIGEST_BYTES = 16
#: So many that one holds few thousand digests with a million rows.
_BUCKETS = 1024


class KnownFingerprints(Protocol):
    """Says of which rows it knows."""

    def __contains__(self, fingerprint: str, /) -> bool:
        """Say whether it knows a row with this fingerprint."""
        ...


class Fingerprints:
    """A set of them; adding never stalls, however many there are.

    Digests lie behind one another in buckets, which are searched as bytes: a hundred thousand
    texts in a set would cost ten times the memory.
    """

    def __init__(self, fingerprints: Iterable[str] = ()) -> None:
        self._buckets: list[bytearray | None] = [None] * _BUCKETS
        for each in fingerprints:
            self.add(each)

    def add(self, fingerprint: str) -> None:
        """Take it in; nothing happens when it is there."""
        digest = digest_of(fingerprint)
        place = _bucket_of(digest)
        bucket = self._buckets[place]
        if bucket is None:
            self._buckets[place] = bytearray(digest)
        elif _place_in(bucket, digest) < 0:
            bucket += digest

    def discard(self, fingerprint: str) -> None:
        """Let it go; nothing happens when it is not there."""
        digest = digest_of(fingerprint)
        bucket = self._buckets[_bucket_of(digest)]
        if bucket is not None and (at := _place_in(bucket, digest)) >= 0:
            del bucket[at : at + _DIGEST_BYTES]

    def __contains__(self, fingerprint: str) -> bool:
        digest = digest_of(fingerprint)
        bucket = self._buckets[_bucket_of(digest)]
        return bucket is not None and _place_in(bucket, digest) >= 0

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets if bucket) // _DIGEST_BYTES


def digest_of(fingerprint: str) -> bytes:
    """Return the beginning of the sha256 that it is; of one in another form, that of its own."""
    try:
        digest = bytes.fromhex(fingerprint[: 2 * _DIGEST_BYTES])
    except ValueError:
        digest = b""
    if len(digest) == _DIGEST_BYTES and len(fingerprint) == _HEX_DIGITS:
        return digest
    return hashlib.sha256(fingerprint.encode()).digest()[:_DIGEST_BYTES]


def _bucket_of(digest: bytes) -> int:
    return (digest[0] << 8 | digest[1]) % _BUCKETS


def _place_in(bucket: bytearray, digest: bytes) -> int:
    """Return where it begins, -1 when it is not there."""
    at = bucket.find(digest)
    while at % _DIGEST_BYTES and at >= 0:  # found across two neighbours
        at = bucket.find(digest, at + 1)
    return at
