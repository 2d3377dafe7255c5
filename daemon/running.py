"""The only place where long-lived asyncio tasks are made; services are watched and stopped here."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

log = structlog.get_logger()


class Service(Protocol):
    """Something that works until it is told to stop, and may be killed at any await."""

    name: str

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop* is set, then end soon; an exception ends the whole daemon."""
        ...


async def run_services(
    services: Sequence[Service], stop: asyncio.Event, *, grace_seconds: float
) -> None:
    """Run *services* until *stop* is set or the first of them fails, then stop the rest.

    After *stop* each has *grace_seconds* to end; what is left then is cancelled. The first
    failure is raised again when all have ended.
    """
    tasks = [asyncio.create_task(service.run(stop), name=service.name) for service in services]
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_EXCEPTION)
    finally:
        stop.set()
        stopped.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_seconds)
            for task in late:
                log.warning("service.cancelled", service=task.get_name())
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
