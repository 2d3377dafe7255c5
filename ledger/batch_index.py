"""Every question about batches, answered without a look at all of them: there may be very many."""

from collections.abc import Iterator, Mapping

from ledger.batch import Batch, BatchStatus
from ledger.batches import Batches, BatchKeys
from ledger.errors import UnknownRecord


class BatchIndex:
    """The batches, how many there are of each kind, and which a table has, or were run again."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._batch_counts = dict.fromkeys(BatchStatus, 0)
        self._of_tables: dict[str, list[str]] = {}
        self._rerun_of: dict[str, str] = {}  # of the reruns, in the order of their acceptance
        for batch_id in batches:
            self.enter_batch(batches.keys_of(batch_id))

    # -- changing --------------------------------------------------------------------------------

    def enter_batch(self, batch: BatchKeys) -> None:
        """Take in a batch that has just come to be known: one that is loaded."""
        self._batch_counts[batch.status] += 1
        self._note_origin(batch)

    def _put_batch(self, batch: Batch, encoded: bytes) -> None:
        """Take in a batch, *encoded* as JSON, or its next version."""
        before = self.batch_status(batch.batch_id)
        if before is None:
            self._note_origin(batch)
        else:
            self._batch_counts[before] -= 1
        self._batch_counts[batch.status] += 1
        self._batches.put(batch, encoded)

    def _note_origin(self, batch: Batch | BatchKeys) -> None:
        if batch.source.kind == "table":
            self._of_tables.setdefault(batch.source.name, []).append(batch.batch_id)
        if batch.rerun_of is not None:
            self._rerun_of[batch.batch_id] = batch.rerun_of

    # -- asking ----------------------------------------------------------------------------------

    def find_batch(self, batch_id: str) -> Batch | None:
        """Return the batch or None."""
        return self._batches.find(batch_id)

    def batch(self, batch_id: str) -> Batch:
        """Return the batch; raises UnknownRecord."""
        if (batch := self.find_batch(batch_id)) is None:
            raise UnknownRecord("batch", batch_id)
        return batch

    def batches(self) -> Iterator[Batch]:
        """Yield all batches, oldest first, each as it stands when its turn comes."""
        return self._batches.each()

    def batch_ids(self) -> list[str]:
        """Return the ids of all batches, oldest first; reads no record."""
        return list(self._batches)

    def batch_status(self, batch_id: str) -> BatchStatus | None:
        """Return the batch's status, None of one that is unknown; reads no record."""
        try:
            return self._batches.status_of(batch_id)
        except KeyError:
            return None

    def is_held(self, batch_id: str) -> bool:
        """Say whether the batch's record says why its rows wait; raises KeyError. Reads none."""
        return self._batches.is_held(batch_id)

    def failures_in_a_row(self, batch_id: str) -> int:
        """Return how many rows of the batch failed in a row by its record; 0 of an unknown one.

        Reads no record as long as there are none.
        """
        try:
            return self._batches.failures_in_a_row(batch_id)
        except KeyError:
            return 0

    def batch_counts(self) -> Mapping[BatchStatus, int]:
        """Return how many batches have each status; never by counting."""
        return self._batch_counts

    def batches_of_table(self, table: str) -> list[str]:
        """Return the ids of the table's batches, reruns among them, oldest first."""
        return list(self._of_tables.get(table, ()))

    def reruns_of(self, batch_id: str) -> Iterator[str]:
        """Yield the ids of all reruns of the batch, and of its reruns, oldest first."""
        found = {batch_id}
        for rerun, before in self._rerun_of.items():
            if before in found:
                found.add(rerun)
                yield rerun
