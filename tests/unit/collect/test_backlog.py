"""Tasks whose files could not be fetched are asked for again, ever later; the others go first."""

from daemon.collect.backlog import BACKOFF_SECONDS, Backlog


def test_tasks_come_in_the_order_in_which_they_ended_and_each_once() -> None:
    backlog = Backlog()
    for task_id in ("one", "two", "one"):
        backlog.add(task_id, now=0.0)
    assert [backlog.take(0.0) for _ in range(3)] == ["one", "two", None]
    backlog.add("one", now=0.0)  # it is at work
    assert backlog.take(0.0) is None


def test_a_postponed_task_waits_twice_as_long_each_time_up_to_a_limit() -> None:
    backlog = Backlog()
    backlog.add("one", now=0.0)
    pauses = []
    for _ in range(10):
        now = backlog.seconds_to_next(0.0) or 0.0
        assert backlog.take(now - 0.001) is None
        assert backlog.take(now) == "one"
        pauses.append(backlog.postpone("one", now))
    shortest, longest = BACKOFF_SECONDS
    assert pauses[:3] == [shortest, 2 * shortest, 4 * shortest]
    assert pauses[-1] == longest


def test_a_task_that_is_done_with_may_come_again() -> None:
    backlog = Backlog()
    backlog.add("one", now=0.0)
    backlog.take(0.0)
    backlog.postpone("one", 0.0)
    backlog.take(100.0)
    backlog.forget("one")
    assert backlog.seconds_to_next(0.0) is None
    backlog.add("one", now=0.0)
    assert backlog.take(0.0) == "one"
    assert backlog.postpone("one", 0.0) == BACKOFF_SECONDS[0]
