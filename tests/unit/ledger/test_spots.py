"""Where records lie in a snapshot, while the next one is being made."""

from random import Random

import pytest
from msgspec.structs import replace

from ledger.jsondir.placed_file import Spot
from ledger.jsondir.spots import Spots


def _all(spots: Spots) -> dict[str, tuple[int, Spot]]:
    return {each: (spots.mark_of(each), spots[each]) for each in spots}


def _move_some(chance: Random, spots: Spots, wanted: dict[str, tuple[int, Spot]]) -> None:
    """Move those of some numbers, those of records that went among them, on or all the way back."""
    first = chance.randrange(spots.numbers_given + 1)
    numbers = range(first, chance.randrange(first, spots.numbers_given + 1))
    here = [each for number, each in spots.numbered(wanted) if number in numbers]
    lowest = min((wanted[each][1].offset for each in here), default=100)
    bytes_on = chance.choice((9, -lowest))
    spots.move(numbers, bytes_on)
    for each in here:
        mark, spot = wanted[each]
        wanted[each] = mark, replace(spot, offset=spot.offset + bytes_on)


@pytest.mark.parametrize("seed", range(5))
def test_spots_in_use_stay_while_those_of_the_next_snapshot_are_made_of_them(seed: int) -> None:
    chance = Random(seed)
    expected: dict[str, tuple[int, Spot]] = {}
    spots, came = Spots.none(), 0
    for _ in range(60):
        following, wanted = spots.copy(), dict(expected)
        numbered = following.numbered([*reversed(expected), "of-no-record"])
        assert [record_id for _, record_id in numbered] == list(expected)
        for number, record_id in numbered:
            mark, spot = wanted[record_id]
            assert following.end_of(number) == spot.end
            match chance.choice(("move", "put", "remove", "stay")):
                case "move":
                    following.move(range(number, number + 1), 7)
                    wanted[record_id] = mark, replace(spot, offset=spot.offset + 7)
                case "put":
                    wanted[record_id] = chance.randrange(256), Spot.of(b"{}", chance.randrange(99))
                    following.put(record_id, *wanted[record_id])
                case "remove" if chance.random() < 0.5:
                    following.remove(number)
                    del wanted[record_id]
        _move_some(chance, following, wanted)
        for _ in range(chance.randrange(4)):
            came += 1
            wanted[f"row-{came}"] = came % 256, Spot(2**33 + came, came, 2**32 - came)
            following.put(f"row-{came}", *wanted[f"row-{came}"])
        assert _all(spots) == expected
        assert (list(spots), len(spots)) == (list(expected), len(expected))
        assert f"row-{came + 1}" not in spots
        if chance.random() < 0.8:  # else it was not written: a full disk
            spots, expected = following, wanted
    assert _all(spots) == expected
    with pytest.raises(KeyError):
        spots["row-0"]


def test_who_goes_through_them_is_not_held_up_by_a_record_that_comes() -> None:
    spots = Spots.none()
    for number in (1, 2):
        spots.put(f"row-{number}", 0, Spot.of(b"{}", number))
    going = iter(spots)
    assert next(going) == "row-1"
    spots.copy().put("row-3", 0, Spot.of(b"{}", 3))
    assert list(going) == ["row-2"]
    assert "row-3" not in spots


def test_numbers_of_records_that_went_are_given_up_once_they_are_many() -> None:
    spots = Spots.none()
    for number in range(100):
        spots.put(f"row-{number}", 0, Spot.of(b"{}", number))
    for number in range(99):
        spots.remove(number)
    few = spots.copy()
    assert (few.numbered(spots), few.end_of(0)) == ([(0, "row-99")], 101)


@pytest.mark.parametrize("count", [0, 1, 9_000])
def test_many_records_move_on_together(count: int) -> None:
    spots = Spots.none()
    for number in range(9_002):
        spots.put(f"row-{number}", 0, Spot.of(b"{}", number))
    spots.move(range(1, 1 + count), 2**33)
    moved = {each for each in spots if spots[each].offset >= 2**33}
    assert moved == {f"row-{number}" for number in range(1, 1 + count)}


def test_records_move_back_over_the_numbers_of_such_as_went_and_of_such_as_never_came() -> None:
    spots = Spots.none()
    for number in range(4):
        spots.put(f"row-{number}", 0, Spot.of(b"{}", 10 * number))
    spots.copy().put("row-4", 0, Spot.of(b"{}", 40))  # into a snapshot that was not written
    spots.put("row-5", 0, Spot.of(b"{}", 50))
    for number in (0, 1):
        spots.remove(number)
    spots.move(range(6), -15)
    assert {each: spots[each].offset for each in spots} == {"row-2": 5, "row-3": 15, "row-5": 35}
    spots.move(range(6), 2**33)
    assert spots["row-2"].offset == 2**33 + 5


def test_the_end_of_records_is_that_of_the_last_that_is_still_there() -> None:
    spots = Spots.none()
    for number in range(4):
        spots.put(f"row-{number}", 0, Spot.of(b"{}", 10 * number))
    for number in (0, 2):
        spots.remove(number)
    assert spots.end_of_last(range(4)) == 32
    assert spots.end_of_last(range(3)) == 12
    assert spots.end_of_last(range(1)) is None
