import random

import pytest

from daemon.retrying import (
    FAILURE_CLASSES,
    LONGEST_DELAY_SECONDS,
    failure_class,
    retried_again,
    retry_delay_seconds,
)


def test_only_failures_of_the_work_itself_can_fail_a_batch():
    counting = {kind for kind, policy in FAILURE_CLASSES.items() if policy.counts_as_failure}
    assert counting == {"execution_error", "out_of_memory", "bad_output", "rejected"}


@pytest.mark.parametrize("kind", ["rejected", "interrupted", "bad_input", "poison"])
def test_what_no_repetition_mends_is_never_repeated(kind):
    assert not retried_again(kind, 0, 2)


@pytest.mark.parametrize("kind", ["execution_error", "out_of_memory", "bad_output", "timeout"])
def test_counted_retries_end_at_the_limit(kind):
    assert [retried_again(kind, done, 2) for done in range(4)] == [True, True, False, False]


@pytest.mark.parametrize(
    "kind", ["server_unreachable", "lost_by_server", "missing_node", "missing_model"]
)
def test_the_fault_of_a_server_never_uses_up_retries(kind):
    assert retried_again(kind, 1000, 0)


def test_an_unknown_kind_is_treated_like_an_execution_error():
    assert failure_class("brand_new").kind == "execution_error"


def test_every_delay_exceeds_the_one_before_until_the_longest():
    chance = random.Random(7).random
    delays = [retry_delay_seconds(attempt, chance) for attempt in range(1, 7)]
    assert delays == sorted(delays)
    assert 5 <= delays[0] < 7.5
    assert (
        LONGEST_DELAY_SECONDS <= retry_delay_seconds(10_000, chance) < 1.5 * LONGEST_DELAY_SECONDS
    )


def test_tasks_that_failed_together_do_not_come_back_together():
    chance = random.Random(7).random
    assert len({retry_delay_seconds(2, chance) for _ in range(20)}) == 20
