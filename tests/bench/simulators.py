"""Simulators in one process of their own: ``python -m tests.bench.simulators FOLDER SECONDS COUNT``.

The first line says where they are; SIGKILL ends them. ``--silent``: their websockets tell nothing.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from daemon.comfy.simulator import Faults, Simulator
from daemon.comfy.simulator.executions import Execution, read_executions
from tests.bench.own_process import own_process


@contextmanager
def simulators(
    folder: Path, *, seconds_per_job: float, count: int = 1, silent: bool = False
) -> Iterator[list[str]]:
    """Run so many, each in a folder named by its number; gives their addresses."""
    arguments = [str(folder), str(seconds_per_job), str(count), *(["--silent"] if silent else [])]
    with own_process("tests.bench.simulators", *arguments) as urls:
        yield urls.split()


def executed(folder: Path) -> list[Execution]:
    """Return what the simulator of this folder ran to its end, in the order of the beginnings."""
    return [run for run in read_executions(folder) if run.ended_at is not None]


def seconds_between(earlier: str | None, later: str | None) -> float:
    """Return the seconds between two moments as the simulator notes them."""
    ends = [datetime.fromisoformat(each or "") for each in (earlier, later)]
    return (ends[1] - ends[0]).total_seconds()


async def _serve(folder: Path, seconds_per_job: float, count: int, *, silent: bool) -> None:
    faults = Faults({"silent_websocket": 1.0} if silent else {})
    async with AsyncExitStack() as stack:
        urls = []
        for number in range(count):
            simulator = Simulator(
                folder / str(number), seconds_per_job=seconds_per_job, faults=faults
            )
            await stack.enter_async_context(simulator)
            urls.append(simulator.url)
        sys.stdout.write(" ".join(urls) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(
        _serve(
            Path(sys.argv[1]),
            float(sys.argv[2]),
            int(sys.argv[3]),
            silent="--silent" in sys.argv,
        )
    )
