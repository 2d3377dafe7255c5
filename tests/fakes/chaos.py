"""A small house in a storm: a daemon and its servers are killed, answers are lost, people command.

``Storm`` goes on for a while and then calms down; ``judged`` says what it should not have done.
"""

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path

from daemon.comfy.simulator.executions import read_executions
from ledger.status import OPEN_STAGES, Stage
from ledger.task import Task
from tests.fakes.program import Program
from tests.fakes.world import (
    World,
    free_port,
    kill,
    simulator_process,
    small_rows,
    small_world,
)

#: What goes wrong inside the servers, and how often.
FAULTS = {
    "lost_answer": 0.03,
    "error_before_accept": 0.03,
    "error_after_accept": 0.03,
    "truncated_view": 0.05,
    "execution_error": 0.03,
    "slow": 0.02,
    "slow.seconds": 1.0,
    "silent_websocket": 0.1,
}
COMMANDS = (
    "batch {batch} pause",
    "batch {batch} resume",
    "batch {batch} resume",
    "batch {batch} retry-failed",
    "retry {failed}",
    "cancel {waiting}",
    "cancel {inside}",
    "status",
    "tasks --failed",
)
ROWS_A_DROP = 10
SECONDS_PER_JOB = 0.15


class GpuProcess:
    """A simulator with faults, in a process that dies and comes back with its output folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: Program | None = None

    async def start(self, faults: dict[str, float]) -> None:
        orders = [word for name, rate in faults.items() for word in ("--fault", f"{name}={rate}")]
        self._process = await simulator_process(self.folder, self.port, SECONDS_PER_JOB, *orders)

    async def kill(self) -> None:
        if self._process is not None:
            await kill(self._process)


class DaemonProcess:
    """The real daemon, logging into a file."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._process: Program | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        arguments = ("--config", str(self._world.config), "run")
        with (self._world.folder / "daemon.log").open("ab") as log:
            self._process = await Program.start(arguments, os.environ, log)

    async def kill(self) -> None:
        if self._process is not None:
            await kill(self._process)


class Storm:
    """Drops rows, kills, commands; every row and every deed is counted."""

    def __init__(
        self, folder: Path, *, seed: int, servers: int = 2, command_lines: int = 8
    ) -> None:
        self.luck = random.Random(seed)
        self.gpus = [GpuProcess(folder / f"comfyui-{number}") for number in range(servers)]
        self.world = small_world(folder / "world", *(gpu.url for gpu in self.gpus))
        self.daemon = DaemonProcess(self.world)
        self.rows = 0
        self.deeds: Counter[str] = Counter()
        self._command_lines = command_lines

    async def begin(self) -> None:
        """Start everything."""
        await asyncio.gather(*(gpu.start(FAULTS) for gpu in self.gpus))
        await self.daemon.start()

    async def rage(self, seconds: float, *, daemon_dies: bool) -> None:
        """Let it all happen for so long; at the end everybody is alive."""
        winds: list[Coroutine[object, object, None]] = [
            self._drop_rows(),
            self._kill_servers(),
            *(self._command() for _ in range(self._command_lines)),
        ]
        if daemon_dies:
            winds.append(self._kill_daemon())
        until = asyncio.get_running_loop().time() + seconds
        jobs = [asyncio.create_task(self._blow(wind, until)) for wind in winds]
        await asyncio.gather(*jobs)

    async def _blow(self, wind: Coroutine[object, object, None], until: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await wind

    async def _drop_rows(self) -> None:
        while True:
            self.deeds["drops"] += 1
            name = f"drop{self.deeds['drops']}"
            self.world.drop(name, small_rows(ROWS_A_DROP, name))
            self.rows += ROWS_A_DROP
            await asyncio.sleep(self.luck.uniform(1, 4))

    async def _kill_servers(self) -> None:
        while True:
            await asyncio.sleep(self.luck.uniform(4, 12))
            await self._replace(self.luck.choice(self.gpus))

    async def _replace(self, gpu: GpuProcess) -> None:
        down_seconds = self.luck.uniform(0, 2)

        async def replace() -> None:
            await gpu.kill()
            self.deeds["servers killed"] += 1
            await asyncio.sleep(down_seconds)
            await gpu.start(FAULTS)

        await _to_its_end(replace())

    async def _kill_daemon(self) -> None:
        while True:
            await asyncio.sleep(self.luck.uniform(1.5, 6))

            async def replace() -> None:
                await self.daemon.kill()
                self.deeds["daemons killed"] += 1
                await self.daemon.start()

            await _to_its_end(replace())

    async def _command(self) -> None:
        while True:
            await asyncio.sleep(self.luck.uniform(1, 6))
            words = self._filled_in(self.luck.choice(COMMANDS))
            if words:
                await _to_its_end(self._say(words))

    async def _say(self, words: list[str]) -> None:
        await self.world.run(*words)
        self.deeds["commands"] += 1

    def _filled_in(self, command: str) -> list[str]:
        tasks, batches = self.world.tasks(), self.world.batches()
        named = {
            "failed": [t.task_id for t in tasks if t.stage is Stage.FAILED and not t.retry_count],
            "waiting": [t.task_id for t in tasks if t.stage is Stage.WAITING],
            "inside": [t.task_id for t in tasks if t.stage in (Stage.QUEUED, Stage.RUNNING)],
            "batch": [batch.batch_id for batch in batches[-8:]],
        }
        wanted = command.partition("{")[2].partition("}")[0]
        if not wanted:
            return command.split()
        if not named[wanted]:
            return []
        return command.format(**{wanted: self.luck.choice(named[wanted])}).split()

    async def calm(self, seconds: float) -> None:
        """Halt nothing and wait until no task is open; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while self._open_tasks():
                for batch in self.world.batches():
                    if batch.status in ("paused", "stopped", "failed"):
                        await self.world.run("batch", batch.batch_id, "resume")
                await asyncio.sleep(0.5)

    def _open_tasks(self) -> int:
        return sum(task.stage in OPEN_STAGES for task in self.world.tasks())

    async def end(self) -> None:
        """Kill whatever still lives."""
        await self.daemon.kill()
        await asyncio.gather(*(gpu.kill() for gpu in self.gpus))

    def judged(self) -> list[str]:
        """Return what must not be: rows lost or run twice, whatever `ledger verify` finds."""
        tasks = self.world.tasks()
        problems = self.world.verify()
        names = Counter(task.product_name for task in tasks if task.retried_from is None)
        if len(names) != self.rows or set(names.values()) != {1}:
            problems.append(f"{self.rows} rows were dropped, {names.total()} first tasks stand")
        successes = Counter(
            run.task_id
            for gpu in self.gpus
            for run in read_executions(gpu.folder)
            if run.result == "success"
        )
        problems += [f"open: {task}" for task in tasks if task.stage in OPEN_STAGES]
        return problems + [each for task in tasks for each in _doubts(task, successes)]


def _doubts(task: Task, successes: Counter[str | None]) -> list[str]:
    made = successes[task.task_id]
    if made > 1 and not task.possible_duplicate:
        return [f"{task.task_id} was made {made} times"]
    return []


async def _to_its_end(deed: Coroutine[object, object, None]) -> None:
    """Do *deed* wholly, also when the storm ends meanwhile."""
    doing = asyncio.ensure_future(deed)
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await doing
        raise
