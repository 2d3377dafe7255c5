"""What one simulated server is made of between a start and a stop; a restart makes a new one."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from daemon.clock import Clock
from daemon.comfy.server import Json
from daemon.comfy.simulator.cache import ResultCache
from daemon.comfy.simulator.catalogue import node_types
from daemon.comfy.simulator.executions import Executions
from daemon.comfy.simulator.faults import Faults
from daemon.comfy.simulator.generation import Generation
from daemon.comfy.simulator.nodetypes import NodeTypes
from daemon.comfy.simulator.queue import PromptQueue
from daemon.comfy.simulator.sockets import Sockets


class Pace(msgspec.Struct):
    """How fast the server works; may be changed while it runs."""

    seconds_per_job: float = 0.0  # spread over the nodes that run
    model_switch_seconds: float = 0.0  # more, when the graph has other node classes than the last


class Outage(msgspec.Struct, frozen=True):
    """An order of a fault to the life of the server; *forgets* is a restart, else only deafness."""

    seconds: float
    forgets: bool


class Machine:
    """The parts that share one life: queue, history, sockets, cache. All forgotten at its end."""

    def __init__(
        self,
        folder: Path,
        generation: Generation,
        *,
        clock: Clock,
        pace: Pace,
        faults: Faults,
        executions: Executions,
        suffer: Callable[[Outage], None],
    ) -> None:
        self.folder, self.generation, self.clock, self.pace = folder, generation, clock, pace
        self.faults, self.executions, self.suffer = faults, executions, suffer
        self.sockets = Sockets()
        self.queue = PromptQueue(self._tell_queue)
        self.cache = ResultCache(folder, keeps_all=generation.modern)
        self.interrupted = asyncio.Event()
        self.posts = 0  # the next prompt's number
        self.current_node: str | None = None
        self._types = node_types(generation)

    @property
    def types(self) -> NodeTypes:
        """The node classes this server knows now."""
        missing = self.faults.missing
        return {name: t for name, t in self._types.items() if not missing(name)}

    def queue_info(self) -> dict[str, Json]:
        """Return what ``GET /prompt`` and every ``status`` frame say."""
        return {"exec_info": {"queue_remaining": self.queue.remaining}}

    def milliseconds(self) -> int:
        """Return the time as ComfyUI stamps its events."""
        return int(self.clock.now().timestamp() * 1000)

    def _tell_queue(self) -> None:
        self.sockets.post("status", {"status": self.queue_info()})
