"""The execution events of one prompt: what its client hears, and what the history keeps."""

from daemon.comfy.server import Json
from daemon.comfy.simulator.machine import Machine
from daemon.comfy.simulator.prompt import Prompt


class Progress:
    """Tells one prompt's story; without a client the story is only kept."""

    def __init__(self, machine: Machine, prompt: Prompt) -> None:
        self._machine, self._prompt = machine, prompt
        self._nodes: dict[str, Json] = {}
        self.messages: list[tuple[str, dict[str, Json]]] = []

    def message(self, event: str, data: dict[str, Json], *, to_all: bool = False) -> None:
        """Send an event that the history keeps too; *to_all* when the prompt names no client."""
        data = {"prompt_id": self._prompt.prompt_id, **data}
        stamped = {**data, "timestamp": self._machine.milliseconds()}
        self.messages.append((event, stamped))
        if self._prompt.client_id is not None or to_all:
            self._machine.sockets.post(event, stamped, self._prompt.client_id)

    def started(self, node_id: str) -> None:
        """Tell that a node begins."""
        self._state(node_id, 0.0, 1.0, "running")
        self._send("executing", {"node": node_id, "display_node": node_id})

    def advanced(self, node_id: str, value: int, maximum: int) -> None:
        """Tell how far a long node is, as samplers do."""
        self._state(node_id, value, maximum, "running")
        self._send("progress", {"value": value, "max": maximum, "node": node_id})

    def reported(self, node_id: str, report: dict[str, Json]) -> None:
        """Tell what an output node made."""
        self._send("executed", {"node": node_id, "display_node": node_id, "output": report})

    def finished(self, node_id: str) -> None:
        """Tell that a node is done."""
        self._state(node_id, 1.0, 1.0, "finished")

    def ended(self) -> None:
        """Tell that nothing runs any more; the history has the prompt by now."""
        self._send("executing", {"node": None})

    def _state(self, node_id: str, value: float, maximum: float, state: str) -> None:
        self._nodes[node_id] = {
            "value": value,
            "max": maximum,
            "state": state,
            "node_id": node_id,
            "prompt_id": self._prompt.prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }
        self._send("progress_state", {"nodes": self._nodes})

    def _send(self, event: str, data: dict[str, Json]) -> None:
        if self._prompt.client_id is not None:
            data = {**data, "prompt_id": self._prompt.prompt_id}
            self._machine.sockets.post(event, data, self._prompt.client_id)
