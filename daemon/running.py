"""The only place where long-lived asyncio tasks are made; services are watched and stopped here."""

import asyncio
import contextlib
import contextvars
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger()

#: How long a thread may compute while the loop wants to; Python's own is five times that.
TURN_SECONDS = 0.001
#: So many new objects make the garbage collector look: at Python's 700, what is in flight is walked
#: over again and again, a twentieth of the loop's time.
NEW_OBJECTS = 10_000


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

    def note_failure(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            stop.set()

    tasks = [asyncio.create_task(service.run(stop), name=service.name) for service in services]
    for task in tasks:
        task.add_done_callback(note_failure)
    try:
        await stop.wait()
    finally:
        stop.set()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_seconds)
            for task in late:
                log.warning("service.cancelled", service=task.get_name())
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def unless_stopped(stop: asyncio.Event, question: Coroutine[object, object, T]) -> T | None:
    """Return the answer to *question*; None when *stop* comes before, and it is cancelled.

    For what others may never answer, and what is not missed when the next start asks again.
    """
    asked, stopped = asyncio.ensure_future(question), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([asked, stopped], return_when=asyncio.FIRST_COMPLETED)
        return asked.result() if asked.done() else None
    finally:
        stopped.cancel()
        asked.cancel()
        await asyncio.gather(asked, stopped, return_exceptions=True)


@contextlib.contextmanager
def loop_first() -> Iterator[None]:
    """Let the loop go before threads, and spare what is loaded by now the garbage collector.

    For the whole process, until the end of the block. What is loaded is large and stays: walking
    over it at each full collection would hold every thread, and finds nothing.
    """
    interval_before, (new_before, *older) = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(TURN_SECONDS)
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *older)
    try:
        yield
    finally:
        gc.set_threshold(new_before, *older)
        gc.unfreeze()
        sys.setswitchinterval(interval_before)


@contextlib.contextmanager
def signals(stop: asyncio.Event, reload: Callable[[], None]) -> Iterator[None]:
    """Stop on the first SIGTERM or SIGINT, end at once on the second; SIGHUP reloads.

    A SIGHUP that was held back (blocked) reloads too; afterwards it is held back again.
    """
    loop = asyncio.get_running_loop()

    def ask_to_stop(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)  # the ledger is safe to leave at any instant
        log.info("daemon.stopping", signal=number.name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask_to_stop, number)
    loop.add_signal_handler(signal.SIGHUP, reload)
    held_before = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held_before)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


class Crew:
    """A bounded number of short jobs at work at once, each known by a key.

    *freed* is called whenever a job has ended and its place is free. A job has left in the same
    step in which it ends: what it put up again last of all may be started under its key by anybody.
    """

    def __init__(self, limit: int, freed: Callable[[], None] = lambda: None) -> None:
        self._limit = limit
        self._freed = freed
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._failure: BaseException | None = None

    def __contains__(self, key: str) -> bool:
        """Say whether the job *key* is at work."""
        return key in self._jobs

    def __len__(self) -> int:
        """Return how many jobs are at work."""
        return len(self._jobs)

    @property
    def free(self) -> int:
        """How many more jobs may be started now."""
        return max(0, self._limit - len(self._jobs))

    def __iter__(self) -> Iterator[str]:
        """Yield the keys of the jobs at work."""
        return iter(self._jobs)

    @property
    def failed(self) -> bool:
        """Whether ``check`` would raise."""
        return self._failure is not None

    def start(
        self, key: str, job: Coroutine[object, object, None], about: Mapping[str, str] | None = None
    ) -> None:
        """Put *job* to work under *key*; a job's exception is kept for ``check``.

        Whatever it logs bears the ids *about*. Raises ValueError while *key* is at work.
        """
        if key in self._jobs:
            job.close()
            raise ValueError(f"{key!r} is at work already")
        context = contextvars.copy_context()
        context.run(structlog.contextvars.clear_contextvars)  # those of the job that made room
        context.run(structlog.contextvars.bind_contextvars, **(about or {}))
        task = asyncio.create_task(self._do(key, job), name=key, context=context)
        self._jobs[key] = task
        task.add_done_callback(lambda done: self._ended_unbegun(key, job, done))

    def check(self) -> None:
        """Raise the first exception a job has ended with, once."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def cancel(self) -> None:
        """Cancel all jobs; ``finish`` waits for their end."""
        for task in self._jobs.values():
            task.cancel()

    async def finish(self) -> None:
        """Wait until no job is at work; when cancelled, the jobs are cancelled too."""
        try:
            while self._jobs:
                await asyncio.wait(self._jobs.values())
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def _do(self, key: str, job: Coroutine[object, object, None]) -> None:
        try:
            await job
        except Exception as error:  # noqa: BLE001 - for ``check``
            self._failure = self._failure or error
        finally:
            del self._jobs[key]
            self._freed()

    def _ended_unbegun(
        self, key: str, job: Coroutine[object, object, None], task: asyncio.Task[None]
    ) -> None:
        """Free the place of a job that was cancelled before its first step."""
        job.close()
        if self._jobs.get(key) is task:
            del self._jobs[key]
            self._freed()
