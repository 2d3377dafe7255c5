"""Listeners hear everything in order, or are told that they must begin anew."""

import asyncio

import pytest

from daemon.web.feed import QUEUED, REMEMBERED, Feed
from daemon.web.refusal import Refusal


@pytest.fixture
def feed():
    return Feed()


def numbers(listener) -> list[int]:
    return [event.number for event in listener.take()]


def test_a_new_listener_needs_a_snapshot_and_then_hears_what_comes(feed):
    feed.publish("task", {"n": 1})
    with feed.listener(None) as listener:
        assert listener.needs_snapshot
        listener.restart()
        feed.publish("task", {"n": 2})
        assert numbers(listener) == [2]


@pytest.mark.parametrize(("seen", "missed"), [(0, [1, 2, 3]), (1, [2, 3]), (3, [])])
def test_one_who_comes_back_hears_what_it_missed(feed, seen, missed):
    for _ in range(3):
        feed.publish("task", {})
    with feed.listener(feed.id_of(seen)) as listener:
        assert not listener.needs_snapshot
        assert numbers(listener) == missed


def test_what_is_no_longer_remembered_or_never_was_needs_a_snapshot(feed):
    for _ in range(REMEMBERED + 5):
        feed.publish("task", {})
    for last in (feed.id_of(3), feed.id_of(REMEMBERED + 6), "x-1", "", feed.id_of(-1), "²-²"):
        with feed.listener(last) as listener:
            assert listener.needs_snapshot, last


def test_a_full_queue_is_dropped_and_a_snapshot_becomes_due(feed):
    with feed.listener(feed.now_id) as listener:
        for _ in range(QUEUED + 1):
            feed.publish("task", {})
        assert listener.needs_snapshot
        assert numbers(listener) == []
        listener.restart()
        feed.publish("task", {})
        assert numbers(listener) == [QUEUED + 2]


async def test_a_wait_ends_with_an_event_with_time_or_with_the_feed(feed):
    with feed.listener(feed.now_id) as listener:
        assert not await listener.news(0.01)
        waiting = asyncio.ensure_future(listener.news(20))
        await asyncio.sleep(0)
        feed.publish("task", {})
        assert await waiting
        list(listener.take())
        waiting = asyncio.ensure_future(listener.news(20))
        await asyncio.sleep(0)
        feed.close()
        assert await asyncio.wait_for(waiting, 1)
    with pytest.raises(Refusal), feed.listener(None):
        pass


def test_nobody_is_heard_after_leaving(feed):
    with feed.listener(None):
        assert feed.is_heard
    assert not feed.is_heard
