"""How the ledger writes moments."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ledger.timestamps import from_timestamp, to_timestamp

SECOND = datetime(2026, 11, 21, 10, 0, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("microsecond", "shown"),
    [(0, "000"), (1, "000"), (999, "000"), (1_000, "001"), (120_000, "120"), (999_999, "999")],
)
def test_a_moment_always_has_its_milliseconds_and_nothing_finer(
    microsecond: int, shown: str
) -> None:
    moment = SECOND.replace(microsecond=microsecond)
    assert to_timestamp(moment) == f"2026-11-21T10:00:07.{shown}Z"
    assert moment - from_timestamp(to_timestamp(moment)) < timedelta(milliseconds=1)


def test_a_moment_of_another_zone_is_written_in_utc() -> None:
    there = SECOND.astimezone(timezone(timedelta(hours=8)))
    assert to_timestamp(there) == "2026-11-21T10:00:07.000Z"
