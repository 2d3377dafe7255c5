"""Records of one kind by id: what came last lies here, all others where the store keeps them.

A record that is in the store costs a place in a file, not its bytes. One that changed since the
store last wrote its state down lies here as JSON until then.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from itertools import chain, filterfalse, islice
from typing import Generic, TypeVar

from ledger.encoding import encode
from ledger.stored import NoRecords, StoredRecords

R = TypeVar("R")

#: Who asks for a record often asks for it again, and so does who changes it. So many are kept
#: decoded.
_AT_HAND = 256
#: So many are read together by who wants all of them.
_READ_AT_ONCE = 64


class Records(Mapping[str, R], Generic[R]):
    """A mapping id → record in the order of acceptance.

    A record that is not here as such is decoded when asked for, which takes two microseconds,
    after one read of a file at most, which takes one. Getting it raises LedgerDamaged when its
    bytes there are no more what was written. What is often asked of many records is in their
    *marks*, numbers below 256 that cost no read.
    """

    def __init__(self, stored: StoredRecords | None = None) -> None:
        self._stored = NoRecords() if stored is None else stored
        # Both may still hold some that the stored ones know of.
        self._gone: set[str] = set()  # removed since
        self._here: dict[str, R | bytes] = {}  # newer than what is stored
        self._new: dict[str, None] = {}  # accepted since, in this order
        self._at_hand: dict[str, R] = {}  # some of those that were asked for

    @abstractmethod
    def decode(self, encoded: bytes) -> R:
        """Return the record that is *encoded* as JSON; raises msgspec.ValidationError."""

    def hold(self, record_id: str, held: R | bytes) -> bool:
        """Hold a record in place of its version before; say whether it is new."""
        known = self._at_hand.pop(record_id, None) is not None or record_id in self
        if not known:
            self.hold_new(record_id, held)
        else:
            self._here[record_id] = held
        return not known

    def hold_new(self, record_id: str, held: R | bytes) -> None:
        """Hold a record that is not here."""
        self._new[record_id] = None
        self._here[record_id] = held

    def remove(self, record_id: str) -> None:
        """Forget the record, if it is here; none will ever have its id again."""
        self._here.pop(record_id, None)
        self._at_hand.pop(record_id, None)
        self._new.pop(record_id, None)
        self._gone.add(record_id)

    def read_from(self, stored: StoredRecords, changed: dict[str, bytes | None]) -> Iterator[None]:
        """Read records from *stored* from now on, and let go, step by step, of what is there.

        *changed* is what changed between the stored ones before and these; all of it was put or
        removed here already. What changed after it stays here. It is empty in the end: a hundred
        thousand freed in one go would hold the loop.
        """
        self._stored = stored
        return self._let_go(changed)

    def _let_go(self, stored: dict[str, bytes | None]) -> Iterator[None]:
        while stored:
            record_id, encoded = stored.popitem()
            if encoded is None:
                self._gone.discard(record_id)
            else:
                self._new.pop(record_id, None)
                if self._here.get(record_id) == encoded:
                    del self._here[record_id]
            yield
        # A dict that has lost its items still takes all of their room; a copy does not.
        self._here, self._new, self._gone = dict(self._here), dict(self._new), set(self._gone)

    def encoded(self, record_id: str) -> bytes:
        """Return the record as JSON; raises KeyError, LedgerDamaged."""
        held = self.held(record_id)
        return held if isinstance(held, bytes) else encode(held)

    def held(self, record_id: str) -> R | bytes:
        """Return the record as it lies here or in the store; raises KeyError, LedgerDamaged."""
        held = self._here.get(record_id)
        if held is None:
            if record_id in self._gone:
                raise KeyError(record_id)
            held = self._stored[record_id]
        return held

    def find(self, record_id: str) -> R | None:
        """Return the record, or None; raises LedgerDamaged."""
        held = self._here.get(record_id)
        if held is not None and not isinstance(held, bytes):
            return held
        if (record := self._at_hand.get(record_id)) is None:
            if record_id not in self:  # as of each task that is accepted
                return None
            record = self[record_id]
            self.keep_at_hand(record_id, record)
        return record

    def each(self) -> Iterator[R]:
        """Yield all records in order, each as it stands at its turn, also while some change."""
        left = iter(list(self))
        while record_ids := tuple(islice(left, _READ_AT_ONCE)):
            stored = self._stored
            read = stored.some(record_ids)
            for record_id in record_ids:
                encoded = read.get(record_id)
                changed = record_id in self._here or record_id in self._gone
                if encoded is not None and not changed and stored is self._stored:
                    yield self.decode(encoded)
                elif record_id in self:
                    yield self[record_id]

    def keep_at_hand(self, record_id: str, record: R) -> None:
        """Have *record*, which is the newest version, ready for who asks next."""
        if len(self._at_hand) >= _AT_HAND:
            self._at_hand.clear()
        self._at_hand[record_id] = record

    def __getitem__(self, record_id: str) -> R:
        held = self.held(record_id)
        return self.decode(held) if isinstance(held, bytes) else held

    def __iter__(self) -> Iterator[str]:
        there = iter(self._stored)
        if self._gone:
            there = filterfalse(self._gone.__contains__, there)
        return chain(there, filterfalse(self._stored.__contains__, self._new))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, record_id: object) -> bool:
        return (record_id in self._here) or (
            record_id in self._stored and record_id not in self._gone
        )
