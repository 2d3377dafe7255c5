"""The prompt queue and the history: in memory, so that a restart forgets both."""

import asyncio
import heapq
from collections.abc import Callable

import msgspec

from daemon.comfy.server import Json
from daemon.comfy.simulator.prompt import Prompt

#: As many finished prompts the real server remembers.
_HISTORY_LIMIT = 10_000


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an execution ended; *messages* are the events with their time stamps."""

    succeeded: bool
    outputs: dict[str, Json]
    messages: list[tuple[str, dict[str, Json]]]


class Finished(msgspec.Struct, frozen=True):
    """An entry of the history."""

    prompt: Prompt
    outcome: Outcome

    def listed(self) -> dict[str, Json]:
        """Return it as ``/history`` writes it."""
        messages: list[Json] = [[event, data] for event, data in self.outcome.messages]
        meta: dict[str, Json] = {
            node_id: {
                "node_id": node_id,
                "display_node": node_id,
                "parent_node": None,
                "real_node_id": node_id,
            }
            for node_id in self.outcome.outputs
        }
        return {
            "prompt": self.prompt.listed(),
            "outputs": self.outcome.outputs,
            "status": {
                "status_str": "success" if self.outcome.succeeded else "error",
                "completed": self.outcome.succeeded,
                "messages": messages,
            },
            "meta": meta,
        }


class PromptQueue:
    """What waits (lowest number first), what runs, what is finished. *changed* hears every move."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._waiting: list[tuple[float, int, Prompt]] = []
        self._order = 0
        self._filled = asyncio.Event()
        self.running: Prompt | None = None
        self.history: dict[str, Finished] = {}

    @property
    def pending(self) -> list[Prompt]:
        """The waiting prompts as the real server lists them: in heap order, the next one first."""
        return [prompt for _, _, prompt in self._waiting]

    @property
    def remaining(self) -> int:
        """How many prompts wait or run."""
        return len(self._waiting) + (self.running is not None)

    def put(self, prompt: Prompt) -> None:
        """Queue *prompt*; an id that is known already is queued once more."""
        self._order += 1
        heapq.heappush(self._waiting, (prompt.number, self._order, prompt))
        self._filled.set()
        self._changed()

    async def take(self) -> Prompt:
        """Wait for the next prompt and make it the running one."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        self.running = heapq.heappop(self._waiting)[2]
        self._changed()
        return self.running

    def finish(self, outcome: Outcome) -> None:
        """Move the running prompt to the history, in one step; replaces an older one of its id."""
        if self.running is None:
            return
        if len(self.history) > _HISTORY_LIMIT:
            del self.history[next(iter(self.history))]
        self.history[self.running.prompt_id] = Finished(self.running, outcome)
        self.running = None
        self._changed()

    def delete(self, prompt_id: str) -> bool:
        """Take one waiting prompt of this id out; it leaves no trace. False when none waits."""
        for position, (_, _, prompt) in enumerate(self._waiting):
            if prompt.prompt_id == prompt_id:
                if len(self._waiting) == 1:
                    self.clear()
                else:
                    del self._waiting[position]
                    heapq.heapify(self._waiting)
                self._changed()
                return True
        return False

    def clear(self) -> None:
        """Take all waiting prompts out."""
        self._waiting = []
        self._changed()

    def recent(self, most: int | None, offset: int) -> dict[str, Finished]:
        """Return a slice of the history: *most* entries from *offset*, the newest when it is -1."""
        entries = list(self.history.items())
        if most is None:
            return dict(entries[max(0, offset) :])
        start = len(entries) - most if offset < 0 else offset
        return dict(entries[max(0, start) :][:most])
