"""Records read from a snapshot's file one by one."""

from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from ledger.errors import LedgerDamaged
from ledger.jsondir.placed_file import PlacedFile, Spot

RECORDS = [b'{"n":%d,"text":"%b"}' % (number, b"x" * 1000) for number in range(300)]
IN_ORDER = range(len(RECORDS))


def _written(path: Path) -> list[Spot]:
    spots, at = [], 0
    with path.open("wb") as file:
        for record in RECORDS:
            at += file.write(b'"id":')
            spots.append(Spot.of(record, at))
            at += file.write(record + b",\n")
    return spots


def _reads() -> int:
    """Return how often this process has read a file."""
    told = Path("/proc/self/io").read_text()
    return int(dict(line.split(": ") for line in told.splitlines())["syscr"])


def _read(file: PlacedFile, spots: list[Spot], order: Iterable[int]) -> int:
    """Read the records in this order; return how many reads that took."""
    before = _reads()
    for number in order:
        assert file.read("task", f"n-{number}", spots[number]) == RECORDS[number]
    return _reads() - before


def test_records_read_in_their_order_take_one_read_for_many(tmp_path: Path) -> None:
    spots = _written(tmp_path / "records")
    assert _read(PlacedFile.of(tmp_path / "records"), spots, IN_ORDER) < len(RECORDS) / 20


def test_a_record_anywhere_takes_one_read_of_no_more_than_itself(tmp_path: Path) -> None:
    spots = _written(tmp_path / "records")
    backwards = _read(PlacedFile.of(tmp_path / "records"), spots, reversed(IN_ORDER))
    anywhere = Random(1).sample(IN_ORDER, len(RECORDS))
    at_random = _read(PlacedFile.of(tmp_path / "records"), spots, anywhere)
    assert max(backwards, at_random) <= len(RECORDS) + 5


def test_what_is_missing_further_on_keeps_no_record_from_being_read(tmp_path: Path) -> None:
    path = tmp_path / "records"
    spots = _written(path)
    with path.open("r+b") as cut:
        cut.truncate(spots[2].end - 1)
    file = PlacedFile.of(path)
    _read(file, spots, range(2))
    with pytest.raises(LedgerDamaged, match="n-2"):
        file.read("task", "n-2", spots[2])


def test_a_record_written_over_is_not_believed_when_it_is_read_ahead(tmp_path: Path) -> None:
    path = tmp_path / "records"
    spots = _written(path)
    with path.open("r+b") as other:
        other.seek(spots[5].offset + 20)
        other.write(b"y")
    file = PlacedFile.of(path)
    _read(file, spots, range(5))
    with pytest.raises(LedgerDamaged, match="n-5"):
        file.read("task", "n-5", spots[5])
    _read(file, spots, range(6, len(RECORDS)))
