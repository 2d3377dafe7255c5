"""The simulator as a program of its own (``rowkeeper simulate``)."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from daemon.comfy.simulator.faults import Faults
from daemon.comfy.simulator.simulator import Simulator


async def serve(  # noqa: PLR0917 - in the order of the command line
    folder: Path,
    host: str,
    port: int,
    version: str,
    seconds_per_job: float,
    faults: Mapping[str, float],
    announce: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT; *announce* is given the address once it can be asked.

    Keys of *faults*: ``NAME``, ``NAME:TARGET`` or ``NAME.seconds`` (see ``Faults``). Raises
    ValueError for an unknown fault and OSError when the port is taken.
    """
    simulator = Simulator(
        folder,
        version=version,
        port=port,
        host=host,
        seconds_per_job=seconds_per_job,
        faults=Faults(faults),
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # a loop without signals
            loop.add_signal_handler(number, stop.set)
    try:
        async with simulator:
            announce(simulator.url)
            await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
