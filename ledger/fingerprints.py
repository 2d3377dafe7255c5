"""The fingerprints of all rows ever accepted, in little more memory than their 32 bytes each."""

from collections.abc import Iterable

#: Of a fingerprint, as every row's has: a sha256 in lower-case hexadecimal.
_HEX_DIGITS, _DIGEST_BYTES = 64, 32
#: So many that one holds few thousand digests with a million rows.
_BUCKETS = 1024


class Fingerprints:
    """An exact set that never forgets; adding never stalls, however many there are.

    Digests lie behind one another in buckets, which are searched as bytes: a hundred thousand
    texts in a set would cost five times the memory.
    """

    def __init__(self, fingerprints: Iterable[str] = ()) -> None:
        self._buckets: list[bytearray | None] = [None] * _BUCKETS
        self._others: set[str] = set()  # of another form
        for each in fingerprints:
            self.add(each)

    def add(self, fingerprint: str) -> None:
        """Take it in; nothing happens when it is there."""
        if (digest := _digest(fingerprint)) is None:
            self._others.add(fingerprint)
            return
        place = int.from_bytes(digest[:2]) % _BUCKETS
        bucket = self._buckets[place]
        if bucket is None:
            self._buckets[place] = bytearray(digest)
        elif not _holds(bucket, digest):
            bucket += digest

    def __contains__(self, fingerprint: str) -> bool:
        if (digest := _digest(fingerprint)) is None:
            return fingerprint in self._others
        bucket = self._buckets[int.from_bytes(digest[:2]) % _BUCKETS]
        return bucket is not None and _holds(bucket, digest)

    def __len__(self) -> int:
        held = sum(len(bucket) for bucket in self._buckets if bucket is not None)
        return held // _DIGEST_BYTES + len(self._others)


def _digest(fingerprint: str) -> bytes | None:
    """Return its bytes, None for one of another form."""
    if len(fingerprint) != _HEX_DIGITS:
        return None
    try:
        digest = bytes.fromhex(fingerprint)
    except ValueError:
        return None
    return digest if digest.hex() == fingerprint else None


def _holds(bucket: bytearray, digest: bytes) -> bool:
    at = bucket.find(digest)
    while at % _DIGEST_BYTES and at >= 0:  # found across two neighbours
        at = bucket.find(digest, at + 1)
    return at >= 0
