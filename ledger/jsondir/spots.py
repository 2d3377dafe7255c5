"""Where the records of one kind lie in a snapshot: 17 bytes each, and a number by which to ask.

A record keeps its number from snapshot to snapshot. So where it lies in the next one takes a few
arrays, however many records there are, and no second mapping of their ids beside the one in use.
"""

from array import array
from collections.abc import Iterable, Iterator
from itertools import compress, count
from typing import Self, TypeAlias

from ledger.jsondir.placed_file import Spot

#: Offsets, sizes in bytes, checksums and marks.
_Columns: TypeAlias = "tuple[array[int], array[int], array[int], array[int]]"

_NO_SIZE = 0  # of a record that is not there
_TOO_MANY = 8  # one of so many
#: So many are moved in one go, which takes a tenth of a millisecond.
_AT_ONCE = 4096


class Spots:
    """Spots and marks of records by their ids, in the order of their acceptance.

    Those of a snapshot in use never change. They share the numbers with those of the snapshot that
    is being made, which gives new records new ones: here nothing lies under these.
    """

    def __init__(self, numbers: dict[str, int], columns: _Columns) -> None:
        """*numbers*: in their order; *columns*: by number, of the first of them; ours to change."""
        self._numbers = numbers
        self._columns = columns
        self._offsets, self._sizes, self._crcs, self._marks = columns

    @classmethod
    def none(cls) -> Self:
        """Return those of a snapshot without records."""
        return cls({}, (array("Q"), array("I"), array("I"), array("B")))

    def copy(self) -> Self:
        """Return these to be changed into those of the next snapshot.

        Those have other numbers once too many are of records that went.
        """
        if self._sizes.count(_NO_SIZE) * _TOO_MANY > len(self._sizes):
            return self._renumbered()
        offsets, sizes, crcs, marks = self._columns
        return type(self)(self._numbers, (offsets[:], sizes[:], crcs[:], marks[:]))

    def _renumbered(self) -> Self:
        numbers = dict(zip(self, count()))
        offsets, sizes, crcs, marks = self._columns
        return type(self)(
            numbers,
            (
                array("Q", compress(offsets, sizes)),
                array("I", compress(sizes, sizes)),
                array("I", compress(crcs, sizes)),
                array("B", compress(marks, sizes)),
            ),
        )

    def put(self, record_id: str, mark: int, spot: Spot) -> None:
        """Note where a record lies now."""
        number = self._numbers.setdefault(record_id, len(self._numbers))
        if number == len(self._sizes):  # as when a snapshot is read, one after the other
            self._offsets.append(spot.offset)
            self._sizes.append(spot.size_bytes)
            self._crcs.append(spot.crc)
            self._marks.append(mark)
            return
        if number > len(self._sizes):
            self._grow(number + 1)
        self._offsets[number] = spot.offset
        self._sizes[number] = spot.size_bytes
        self._crcs[number] = spot.crc
        self._marks[number] = mark

    def _grow(self, count: int) -> None:
        """Have room for so many numbers."""
        missing = count - len(self._sizes)
        for column in self._columns:
            column.frombytes(bytes(missing * column.itemsize))

    def move(self, numbers: range, bytes_on: int) -> None:
        """Note that the records of these numbers lie so many bytes further on."""
        for begin in numbers[::_AT_ONCE] if bytes_on else ():
            here = slice(begin, min(begin + _AT_ONCE, numbers.stop))
            there = zip(self._offsets[here], self._sizes[here], strict=True)
            moved = [at + bytes_on if size_bytes else 0 for at, size_bytes in there]
            self._offsets[here] = array("Q", moved)

    def remove(self, number: int) -> None:
        """Note that a record lies here no more."""
        self._sizes[number] = _NO_SIZE

    # -- asking ----------------------------------------------------------------------------------

    @property
    def numbers_given(self) -> int:
        """How many numbers were given, those of records that went among them."""
        return len(self._sizes)

    def numbered(self, record_ids: Iterable[str]) -> list[tuple[int, str]]:
        """Return those of the records that are here, with their numbers: in the file's order."""
        numbers, sizes, none = self._numbers, self._sizes, len(self._sizes)
        return sorted(
            [
                (number, each)
                for each in record_ids
                if (number := numbers.get(each, none)) < none and sizes[number]
            ]
        )

    def end_of(self, number: int) -> int:
        """Return the offset behind the record of this number."""
        return self._offsets[number] + self._sizes[number]

    def end_of_last(self, numbers: range) -> int | None:
        """Return the offset behind the last record of these numbers, None if all of them went."""
        there = next((each for each in reversed(numbers) if self._sizes[each]), None)
        return None if there is None else self.end_of(there)

    def mark_of(self, record_id: str) -> int:
        """Return the record's mark; raises KeyError."""
        return self._marks[self._number(record_id)]

    def _number(self, record_id: str) -> int:
        number = self._numbers[record_id]
        if number >= len(self._sizes) or self._sizes[number] == _NO_SIZE:
            raise KeyError(record_id)
        return number

    def __getitem__(self, record_id: str) -> Spot:
        number = self._number(record_id)
        return Spot(self._offsets[number], self._sizes[number], self._crcs[number])

    def __contains__(self, record_id: object) -> bool:
        number = self._numbers.get(record_id)  # type: ignore[call-overload]
        return number is not None and number < len(self._sizes) and self._sizes[number] > 0

    def __iter__(self) -> Iterator[str]:
        # Others may get numbers while somebody goes through these.
        return compress(list(self._numbers), self._sizes)

    def __len__(self) -> int:
        return len(self._sizes) - self._sizes.count(_NO_SIZE)
