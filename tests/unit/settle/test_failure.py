"""Every class of failure has its policy: whether, when and where a task goes on."""

import pytest

from daemon.retrying import FAILURE_CLASSES
from daemon.settle.failure import after_failure
from daemon.settle.gpu_memory import given_up_by, must_be_freed, wanted_server
from ledger.status import Stage
from ledger.task import Task
from ledger.timestamps import from_timestamp
from tests.fakes.records import AT, task_record


def failed_as(kind: str, task: Task | None = None, retries: int = 2, *servers: str) -> Task:
    task = task or running("a")
    return after_failure(task, kind, "because", at=AT, max_auto_retries=retries, servers=servers)


def running(server: str, before: Task | None = None) -> Task:
    """Return a task at work on *server*: a new one, or the next attempt of *before*."""
    if before is None:
        return task_record(stage=Stage.RUNNING, server=server, attempt=1)
    submitted = before.moved(Stage.SUBMITTING, at=AT, server=server, attempt=before.attempt + 1)
    return submitted.moved(Stage.RUNNING, at=AT)


@pytest.mark.parametrize("kind", ["execution_error", "out_of_memory", "bad_output", "timeout"])
def test_what_may_be_better_next_time_is_tried_again_twice_with_a_growing_delay(kind: str) -> None:
    first = failed_as(kind)
    second = failed_as(kind, running("a", first))
    third = failed_as(kind, running("b", second))
    assert [each.stage for each in (first, second, third)] == [
        Stage.WAITING,
        Stage.WAITING,
        Stage.FAILED,
    ]
    waits = [
        (from_timestamp(each.not_before or "") - from_timestamp(AT)).total_seconds()
        for each in (first, second)
    ]
    assert 5 <= waits[0] <= 7.5
    assert 10 <= waits[1] <= 15
    assert {each.error_kind for each in (first, second, third)} == {kind}


@pytest.mark.parametrize("kind", ["interrupted", "rejected", "bad_input", "poison"])
def test_what_a_repetition_would_not_mend_fails_at_once(kind: str) -> None:
    task = failed_as(kind)
    assert (task.stage, task.error_kind, task.auto_retries) == (Stage.FAILED, kind, 0)


@pytest.mark.parametrize(
    "kind", ["server_unreachable", "missing_node", "missing_model", "lost_by_server"]
)
def test_what_is_the_servers_fault_never_counts_against_the_task(kind: str) -> None:
    task = failed_as(kind, retries=0)
    assert (task.stage, task.auto_retries) == (Stage.WAITING, 0)


def test_every_class_of_failure_is_named_in_these_tests() -> None:
    assert set(FAILURE_CLASSES) == {
        *("execution_error", "out_of_memory", "bad_output", "timeout"),
        *("interrupted", "rejected", "bad_input", "poison"),
        *("server_unreachable", "missing_node", "missing_model", "lost_by_server"),
        "missing_input",  # uploaded anew: test_retrying
    }


def test_out_of_memory_is_tried_once_more_there_then_elsewhere() -> None:
    once = failed_as("out_of_memory")
    assert (wanted_server(once), must_be_freed(once, "a"), must_be_freed(once, "b")) == (
        "a",
        True,
        False,
    )
    twice = failed_as("out_of_memory", running("a", once))
    assert (wanted_server(twice), given_up_by(twice.metadata)) == (None, {"a"})
    elsewhere = failed_as("out_of_memory", running("b", twice), 5)
    assert wanted_server(elsewhere) == "b"


def test_out_of_memory_on_every_server_there_is_fails_though_retries_are_left() -> None:
    task = failed_as("out_of_memory", None, 9, "a", "b")
    for server in ("a", "b"):
        assert task.stage is Stage.WAITING
        task = failed_as("out_of_memory", running(server, task), 9, "a", "b")
    assert task.stage is Stage.WAITING
    task = failed_as("out_of_memory", running("b", task), 9, "a", "b")
    assert (task.stage, task.error_kind) == (Stage.FAILED, "out_of_memory")


def test_another_failure_in_between_does_not_make_memory_forgotten() -> None:
    once = failed_as("out_of_memory", None, 9)
    other = failed_as("execution_error", running("a", once), 9)
    again = failed_as("out_of_memory", running("a", other), 9)
    assert given_up_by(again.metadata) == {"a"}
