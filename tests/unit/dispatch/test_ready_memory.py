"""A row that ran out of memory goes where the policy says, also after a restart."""

from daemon.dispatch.ready import ReadyRows
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.task import Metadata
from tests.fakes.clock import FakeClock
from tests.fakes.records import batch_record, task_record


async def ready_with(working: set[str], *ran_out_on: str) -> ReadyRows:
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    task = task_record(1, metadata=Metadata(ran_out_on=list(ran_out_on)))
    await ledger.commit(batch_record(), task, op="rows.accepted")
    ready = ReadyRows(ledger, FakeClock(), takes_work=working.__contains__)
    await ready.load()
    return ready


def gets(ready: ReadyRows, server: str) -> bool:
    return ready.take(server, None, 0, lambda _: True) is not None


async def test_after_the_first_time_the_same_server_gets_it_again() -> None:
    ready = await ready_with({"a", "b"}, "a")
    assert not gets(ready, "b")
    assert gets(ready, "a")


async def test_another_server_gets_it_while_that_one_takes_no_work() -> None:
    working = {"a", "b"}
    ready = await ready_with(working, "a")
    assert not gets(ready, "b")
    working.remove("a")
    assert gets(ready, "b")


async def test_after_the_second_time_only_other_servers_get_it() -> None:
    ready = await ready_with({"a", "b"}, "a", "a")
    await ready.readmit("a")
    assert not gets(ready, "a")
    assert gets(ready, "b")


async def test_a_row_too_large_for_all_that_answer_says_so() -> None:
    ready = await ready_with({"a"}, "a", "a")
    (unfit,) = (await ready.unfit(frozenset({"a"}))).values()
    assert unfit.kind == "out_of_memory"
