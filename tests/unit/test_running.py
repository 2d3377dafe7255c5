"""Crews of jobs and what is told of their end; services, and how long a stop waits for them."""

import asyncio

import pytest

from daemon.running import Crew, run_services, unless_stopped


async def test_a_crew_tells_of_a_jobs_end_only_when_its_place_is_free() -> None:
    free: list[int] = []
    crew = Crew(2, freed=lambda: free.append(crew.free))
    crew.start("a", asyncio.sleep(0))
    crew.start("b", asyncio.sleep(0))
    assert crew.free == 0
    await crew.finish()
    assert free == [1, 2]


async def test_a_crew_tells_of_the_end_of_a_job_that_failed_too() -> None:
    async def failing() -> None:
        raise ValueError("broken")

    freed = asyncio.Event()
    crew = Crew(1, freed=freed.set)
    crew.start("a", failing())
    await crew.finish()
    assert freed.is_set()
    with pytest.raises(ValueError, match="broken"):
        crew.check()


async def test_a_job_put_up_again_by_the_last_step_of_its_own_is_started_and_awaited() -> None:
    put_up_again, may_end, looks = asyncio.Event(), asyncio.Event(), list[int]()
    crew = Crew(2)

    async def look(number: int) -> None:
        if number == 2:
            await may_end.wait()
        looks.append(number)
        put_up_again.set()

    crew.start("a", look(1))
    await put_up_again.wait()  # goes on before the loop has told anybody that the job is over
    crew.start("a", look(2))
    await asyncio.sleep(0.01)
    assert (looks, list(crew)) == ([1], ["a"])
    asyncio.get_running_loop().call_later(0.01, may_end.set)
    await crew.finish()
    assert looks == [1, 2]


async def test_a_crew_refuses_a_second_job_under_a_key_that_is_at_work() -> None:
    crew = Crew(2)
    crew.start("a", asyncio.sleep(0))
    with pytest.raises(ValueError, match="'a' is at work already"):
        crew.start("a", asyncio.sleep(0))
    assert len(crew) == 1
    await crew.finish()
    assert crew.free == 2


async def test_a_job_that_is_cancelled_before_it_begins_frees_its_place_too() -> None:
    freed = asyncio.Event()
    crew = Crew(1, freed=freed.set)
    crew.start("a", asyncio.sleep(3600))
    crew.cancel()
    async with asyncio.timeout(5):
        await crew.finish()
    assert freed.is_set()
    assert crew.free == 1


class Deaf:
    """A service that hears of no stop."""

    name = "deaf"

    def __init__(self) -> None:
        self.was_cancelled = False

    async def run(self, stop: asyncio.Event) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


class Failing:
    """A service that fails, first or after the stop."""

    name = "failing"

    def __init__(self, *, after_stop: bool = False) -> None:
        self._after_stop = after_stop

    async def run(self, stop: asyncio.Event) -> None:
        if self._after_stop:
            await stop.wait()
        raise ValueError("broken")


async def test_a_service_that_hears_of_no_stop_is_cancelled_after_its_grace() -> None:
    deaf, stop = Deaf(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    async with asyncio.timeout(5):
        await run_services([deaf], stop, grace_seconds=0.05)
    assert deaf.was_cancelled


@pytest.mark.parametrize("after_stop", [False, True])
async def test_a_service_that_fails_ends_the_others_and_its_failure_is_raised(
    after_stop: bool,
) -> None:
    deaf, stop = Deaf(), asyncio.Event()
    if after_stop:
        stop.set()
    async with asyncio.timeout(5):
        with pytest.raises(ValueError, match="broken"):
            await run_services([deaf, Failing(after_stop=after_stop)], stop, grace_seconds=0.05)
    assert deaf.was_cancelled
    assert stop.is_set()


async def test_services_that_have_ended_leave_the_daemon_waiting_for_its_stop() -> None:
    class Brief:
        name = "brief"

        async def run(self, stop: asyncio.Event) -> None:
            pass

    stop = asyncio.Event()
    running = asyncio.ensure_future(run_services([Brief()], stop, grace_seconds=1))
    await asyncio.sleep(0.05)
    assert not running.done()
    stop.set()
    async with asyncio.timeout(5):
        await running


async def test_a_question_that_nobody_answers_ends_with_the_stop() -> None:
    async def answered(number: int) -> int:
        return number

    deaf, stop = Deaf(), asyncio.Event()
    assert await unless_stopped(stop, answered(7)) == 7
    asyncio.get_running_loop().call_later(0.05, stop.set)
    async with asyncio.timeout(5):
        assert await unless_stopped(stop, deaf.run(stop)) is None
    assert deaf.was_cancelled
    with pytest.raises(ValueError, match="broken"):
        await unless_stopped(asyncio.Event(), Failing().run(stop))
