"""The life of one simulated server: start, stop, restart, refuse."""

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from daemon.clock import Clock, SystemClock
from daemon.comfy.simulator.executions import Executions
from daemon.comfy.simulator.executor import Executor
from daemon.comfy.simulator.faults import Faults
from daemon.comfy.simulator.folders import make_folders
from daemon.comfy.simulator.generation import Generation
from daemon.comfy.simulator.listening import Listening
from daemon.comfy.simulator.machine import Machine, Outage, Pace
from daemon.comfy.simulator.routes import application


class Simulator:
    """A ComfyUI-compatible server that really makes pictures and videos.

    *folder* holds ``input``, ``output``, ``temp`` and ``executions.jsonl`` and outlives it; queue,
    history and cache live from ``start`` to ``stop``. With *port* 0 the first start picks a free
    one and later starts keep it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        version: str = "0.33.0",
        port: int = 0,
        host: str = "127.0.0.1",
        seconds_per_job: float = 0.0,
        model_switch_seconds: float = 0.0,
        faults: Faults | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.pace = Pace(seconds_per_job, model_switch_seconds)
        self._folder = folder.resolve()
        self._generation = Generation(version)
        self._clock = clock or SystemClock()
        self._host, self._port = host, port
        make_folders(self._folder)
        self.executions = Executions(self._folder)
        self._life: _Life | None = None
        self._outages: deque[Outage] = deque()
        self._undergoing: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def url(self) -> str:
        """Its address; known after the first start when *port* was 0."""
        return f"http://{self._host}:{self._port}"

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self._folder

    async def start(self) -> None:
        """Serve with an empty queue and history; raises OSError when the port is taken."""
        machine = Machine(
            self._folder,
            self._generation,
            clock=self._clock,
            pace=self.pace,
            faults=self.faults,
            executions=self.executions,
            suffer=self._suffer,
        )
        life = _Life(machine)
        self._port = await life.begin(self._host, self._port)
        self._life = life

    async def stop(self) -> None:
        """Die as a killed process does: connections break, the running prompt leaves no file."""
        self._stopping.set()
        if self._undergoing is not None:
            await self._undergoing
        self._outages.clear()
        await self._end_life()
        self._stopping.clear()

    async def restart(self, seconds: float = 0.0) -> None:
        """Stop, be away for *seconds*, start again with everything forgotten but the files."""
        await self.stop()
        await self._clock.pause(seconds)
        await self.start()

    async def refuse(self, seconds: float) -> None:
        """Refuse connections and drop the open ones for *seconds*; work goes on meanwhile."""
        life = self._life
        if life is None:
            return
        await life.close_door()
        await self._clock.pause(seconds, self._stopping)
        if self._life is life and not self._stopping.is_set():
            await life.open_door(self._host, self._port)

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop()

    def _suffer(self, outage: Outage) -> None:
        """Carry out what a fault ordered; what comes meanwhile waits for its turn."""
        self._outages.append(outage)
        if self._undergoing is None or self._undergoing.done():
            self._undergoing = asyncio.create_task(self._undergo(), name="simulator-outage")

    async def _undergo(self) -> None:
        while self._outages and not self._stopping.is_set():
            outage = self._outages.popleft()
            if outage.forgets:
                await self._end_life()
                await self._clock.pause(outage.seconds, self._stopping)
                if not self._stopping.is_set():
                    await self.start()
            else:
                await self.refuse(outage.seconds)

    async def _end_life(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            await life.end()


class _Life:
    """What exists between one start and one stop."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="simulator")
        self._executor = Executor(machine, self._thread)
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, host: str, port: int) -> int:
        """Open the door and start working; returns the port."""
        app = application(self._machine)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        self._listening = Listening(self._runner)
        await self._runner.setup()
        try:
            port = await self.open_door(host, port)
        except OSError:
            await self._runner.cleanup()
            raise
        self._tasks = [
            asyncio.create_task(self._executor.work(), name="simulator-executor"),
            asyncio.create_task(self._machine.sockets.publish(), name="simulator-sockets"),
        ]
        return port

    async def open_door(self, host: str, port: int) -> int:
        """Listen; returns the port."""
        return await self._listening.open(host, port)

    async def close_door(self) -> None:
        """Listen no more and break every open connection."""
        await self._listening.close()
        self._break_connections()

    async def end(self) -> None:
        """Break everything off, its thread too; raises what had broken it before."""
        self._executor.kill()
        for task in self._tasks:
            task.cancel()
        await self._listening.close()
        self._break_connections()
        await self._runner.cleanup()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    def _break_connections(self) -> None:
        server = self._runner.server
        for connection in server.connections if server is not None else ():
            if connection.transport is not None:
                connection.transport.abort()
