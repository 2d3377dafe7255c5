"""The fingerprints of all rows ever accepted, in little more memory than 16 bytes each."""

import hashlib
from collections.abc import Iterable

#: Of a fingerprint, as every row's has: a sha256 in hexadecimal.
_HEX_DIGITS = 64
#: So many of its 32 bytes are kept. That of a million million rows any two are alike in them by
#: chance is less likely than one in 10^14.
_DIGEST_BYTES = 16
#: So many that one holds few thousand digests with a million rows.
_BUCKETS = 1024


class Fingerprints:
    """A set that never forgets; adding never stalls, however many there are.

    Digests lie behind one another in buckets, which are searched as bytes: a hundred thousand
    texts in a set would cost ten times the memory.
    """

    def __init__(self, fingerprints: Iterable[str] = ()) -> None:
        self._buckets: list[bytearray | None] = [None] * _BUCKETS
        for each in fingerprints:
            self.add(each)

    def add(self, fingerprint: str) -> None:
        """Take it in; nothing happens when it is there."""
        digest = _digest(fingerprint)
        place = int.from_bytes(digest[:2]) % _BUCKETS
        bucket = self._buckets[place]
        if bucket is None:
            self._buckets[place] = bytearray(digest)
        elif not _holds(bucket, digest):
            bucket += digest

    def __contains__(self, fingerprint: str) -> bool:
        digest = _digest(fingerprint)
        bucket = self._buckets[int.from_bytes(digest[:2]) % _BUCKETS]
        return bucket is not None and _holds(bucket, digest)

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets if bucket) // _DIGEST_BYTES


def _digest(fingerprint: str) -> bytes:
    """Return the beginning of the sha256 that it is; of one in another form, that of its own."""
    try:
        digest = bytes.fromhex(fingerprint[: 2 * _DIGEST_BYTES])
    except ValueError:
        digest = b""
    if len(digest) == _DIGEST_BYTES and len(fingerprint) == _HEX_DIGITS:
        return digest
    return hashlib.sha256(fingerprint.encode()).digest()[:_DIGEST_BYTES]


def _holds(bucket: bytearray, digest: bytes) -> bool:
    at = bucket.find(digest)
    while at % _DIGEST_BYTES and at >= 0:  # found across two neighbours
        at = bucket.find(digest, at + 1)
    return at >= 0
