"""Crews: jobs at work at once, and what is told of their end."""

import asyncio

import pytest

from daemon.running import Crew


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
