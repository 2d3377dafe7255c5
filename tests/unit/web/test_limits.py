"""Permits run out, come back with time, and are counted for each address by itself."""

import pytest

from daemon.web.limits import MAX_ADDRESSES, Buckets
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


def test_so_many_are_let_in_at_once_and_then_one_as_time_passes(clock):
    buckets = Buckets(clock, size=3, every_seconds=2.0)
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 0]
    assert buckets.take("a") == pytest.approx(2.0)
    clock.advance(1.5)
    assert buckets.take("a") == pytest.approx(0.5)
    clock.advance(0.5)
    assert buckets.take("a") == 0
    assert buckets.take("a") > 0


def test_asking_in_vain_makes_nobody_wait_longer(clock):
    buckets = Buckets(clock, size=1, every_seconds=1.0)
    buckets.take("a")
    assert {buckets.take("a") for _ in range(100)} == {1.0}


def test_addresses_do_not_disturb_one_another(clock):
    buckets = Buckets(clock, size=1, every_seconds=1.0)
    assert [buckets.take("a"), buckets.take("b")] == [0, 0]


def test_a_long_silence_fills_no_more_than_one_bucket(clock):
    buckets = Buckets(clock, size=2, every_seconds=1.0)
    buckets.take("a")
    clock.advance(1000)
    assert [buckets.take("a") == 0 for _ in range(3)] == [True, True, False]


def test_addresses_are_forgotten_before_they_fill_the_memory(clock):
    buckets = Buckets(clock, size=1, every_seconds=1.0)
    for number in range(MAX_ADDRESSES + 10):
        buckets.take(str(number))
    assert len(buckets._full_at) == MAX_ADDRESSES
    assert buckets.take("0") == 0
