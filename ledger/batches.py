"""Batches by id; see ``records``. There may be as many as rows."""

import msgspec

from ledger.batch import Batch, BatchStatus
from ledger.records import Records

_batches = msgspec.json.Decoder(Batch)

#: A batch's mark is the number of its status, whether it is held, and whether rows failed in a row.
_STATUSES = tuple(BatchStatus)
_NUMBER_OF = {status: number for number, status in enumerate(_STATUSES)}
_STATUS_BITS, _HELD, _FAILURES = 0x7, 0x8, 0x10


class _Origin(msgspec.Struct, frozen=True, gc=False):
    kind: str
    name: str


class BatchKeys(msgspec.Struct, frozen=True, gc=False):
    """What is known of a batch without a look at its record."""

    batch_id: str
    source: _Origin
    status: BatchStatus = BatchStatus.RUNNING
    rerun_of: str | None = None
    failures_in_a_row: int = 0
    held: str | None = None

    @property
    def mark(self) -> int:
        """See ``Records``."""
        held = 0 if self.held is None else _HELD
        return _NUMBER_OF[self.status] | held | (_FAILURES if self.failures_in_a_row else 0)


_keys = msgspec.json.Decoder(BatchKeys)


def decode_batch(encoded: bytes | msgspec.Raw) -> Batch:
    """Return the batch that is *encoded* as JSON; raises msgspec.ValidationError."""
    return _batches.decode(encoded)


def decode_batch_keys(encoded: bytes) -> BatchKeys:
    """Return the keys of a batch given as JSON; raises msgspec.ValidationError."""
    return _keys.decode(encoded)


class Batches(Records[Batch]):
    """The batches; the store has all of them but those that changed since it wrote."""

    def decode(self, encoded: bytes) -> Batch:
        """Return the batch that is *encoded* as JSON."""
        return _batches.decode(encoded)

    def put(self, batch: Batch, encoded: bytes) -> bool:
        """Hold *batch*, *encoded* as JSON, in place of its version before; say whether it is new.

        Whoever changes one asks for it next: it stays at hand.
        """
        new = self.hold(batch.batch_id, encoded)
        self.keep_at_hand(batch.batch_id, batch)
        return new

    def mark_of(self, batch_id: str) -> int:
        """Return the batch's mark; raises KeyError."""
        held = self._here.get(batch_id)
        if held is None:
            return self._stored.mark_of(batch_id)
        return self.keys_of(batch_id).mark

    def keys_of(self, batch_id: str) -> BatchKeys:
        """Return the batch's keys without decoding all of it; raises KeyError, LedgerDamaged."""
        return _keys.decode(self.encoded(batch_id))

    def status_of(self, batch_id: str) -> BatchStatus:
        """Return the batch's status, without a read; raises KeyError."""
        if (batch := self._at_hand.get(batch_id)) is not None:
            return batch.status
        return _STATUSES[self.mark_of(batch_id) & _STATUS_BITS]

    def is_held(self, batch_id: str) -> bool:
        """Say, without a read, whether the record says why its rows wait; raises KeyError."""
        return bool(self.mark_of(batch_id) & _HELD)

    def failures_in_a_row(self, batch_id: str) -> int:
        """Return how many of its last rows failed, without a read if none; raises KeyError."""
        if (batch := self._at_hand.get(batch_id)) is not None:
            return batch.failures_in_a_row
        if not self.mark_of(batch_id) & _FAILURES:
            return 0
        return self[batch_id].failures_in_a_row
