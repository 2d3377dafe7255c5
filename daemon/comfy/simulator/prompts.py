"""``/prompt``, ``/queue``, ``/history``, ``/interrupt``, ``/free``."""

import uuid

import msgspec
from aiohttp import web

from daemon.comfy.server import Graph, Json
from daemon.comfy.simulator.answers import Broken, broken_answer, hang_up, json_answer, read_object
from daemon.comfy.simulator.faults import Fault
from daemon.comfy.simulator.machine import Machine, Outage
from daemon.comfy.simulator.prompt import Prompt
from daemon.comfy.simulator.validation import Validation, Validator

_NO_PROMPT: dict[str, Json] = {
    "type": "no_prompt",
    "message": "No prompt provided",
    "details": "No prompt provided",
    "extra_info": {},
}
_BAD_ID: dict[str, Json] = {
    "type": "invalid_prompt_id",
    "message": "prompt_id must be a valid UUID",
    "details": "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
    "omit it to let the server generate one",
    "extra_info": {},
}


class Prompts:
    """Takes prompts in and tells about them."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def post_prompt(self, request: web.Request) -> web.Response:
        """Validate and queue a prompt; the faults of ``POST /prompt`` strike here."""
        machine = self._machine
        body = await read_object(request)
        number = self._number(body)
        if "prompt" not in body:
            return json_answer({"error": _NO_PROMPT, "node_errors": {}}, 400)
        prompt_id = body.get("prompt_id") or str(uuid.uuid4())
        if machine.generation.modern and not _canonical(prompt_id):
            return json_answer({"error": _BAD_ID, "node_errors": {}}, 400)
        graph = self._graph(body["prompt"])
        validation = Validator(machine.generation, machine.types, machine.folder).check(graph)
        if validation.error is not None:
            answer: dict[str, Json] = {
                "error": validation.error,
                "node_errors": validation.node_errors,
            }
            return json_answer(answer, 400)
        prompt = Prompt(
            number=number,
            prompt_id=str(prompt_id),
            graph=graph,
            extra_data=self._extra_data(body),
            outputs=validation.outputs,
        )
        return await self._accept(request, prompt, validation)

    async def get_prompt(self, request: web.Request) -> web.Response:
        """Tell how many prompts remain."""
        return json_answer(self._machine.queue_info())

    async def get_queue(self, request: web.Request) -> web.Response:
        """List what runs and what waits."""
        queue = self._machine.queue
        running: list[Json] = [queue.running.listed()] if queue.running else []
        pending: list[Json] = [prompt.listed() for prompt in queue.pending]
        return json_answer({"queue_running": running, "queue_pending": pending})

    async def post_queue(self, request: web.Request) -> web.Response:
        """Clear the queue or delete prompts from it; unknown ids are no error."""
        body = await read_object(request)
        if body.get("clear"):
            self._machine.queue.clear()
        for prompt_id in _listed(body.get("delete")):
            self._machine.queue.delete(prompt_id)
        return web.Response()

    async def get_history(self, request: web.Request) -> web.Response:
        """List finished prompts: ``max_items`` of them, from ``offset`` or the newest."""
        query = request.rel_url.query
        try:
            most = int(query["max_items"]) if "max_items" in query else None
            offset = int(query.get("offset", "-1"))
        except ValueError as wrong:
            raise Broken from wrong
        entries = self._machine.queue.recent(most, offset)
        return json_answer({prompt_id: entry.listed() for prompt_id, entry in entries.items()})

    async def get_one_history(self, request: web.Request) -> web.Response:
        """Tell of one finished prompt; an empty object for any other."""
        prompt_id = request.match_info["prompt_id"]
        entry = self._machine.queue.history.get(prompt_id)
        return json_answer({prompt_id: entry.listed()} if entry else {})

    async def post_history(self, request: web.Request) -> web.Response:
        """Forget all finished prompts, or some."""
        body = await read_object(request)
        if body.get("clear"):
            self._machine.queue.history.clear()
        for prompt_id in _listed(body.get("delete")):
            self._machine.queue.history.pop(prompt_id, None)
        return web.Response()

    async def interrupt(self, request: web.Request) -> web.Response:
        """Interrupt the running prompt, or only if it is the one named."""
        try:
            wanted = (await read_object(request)).get("prompt_id")
        except Broken:
            wanted = None
        running = self._machine.queue.running
        if not wanted or (running is not None and running.prompt_id == wanted):
            self._machine.interrupted.set()
        return web.Response()

    async def free(self, request: web.Request) -> web.Response:
        """Drop cached results."""
        if (await read_object(request)).get("free_memory"):
            self._machine.cache.clear()
        return web.Response()

    async def _accept(
        self, request: web.Request, prompt: Prompt, validation: Validation
    ) -> web.Response:
        machine, targets = self._machine, prompt.targets
        strike = machine.faults.strike
        if rule := strike(Fault.REFUSE, *targets):
            machine.suffer(Outage(rule.seconds, forgets=False))
            return hang_up(request)
        if strike(Fault.ERROR_BEFORE_ACCEPT, *targets):
            return broken_answer()
        if rule := strike(Fault.SLOW_ACCEPT, *targets):
            await machine.clock.pause(rule.seconds)
        node_errors = validation.node_errors
        if strike(Fault.NODE_ERRORS_IN_200, *targets):
            dropped, *kept = prompt.outputs
            prompt = msgspec.structs.replace(prompt, outputs=tuple(kept))
            node_errors = {dropped: _invented_errors(prompt.graph, dropped), **node_errors}
        machine.queue.put(prompt)
        if strike(Fault.LOST_ANSWER, *targets):
            return hang_up(request)
        if strike(Fault.ERROR_AFTER_ACCEPT, *targets):
            return broken_answer()
        return json_answer(
            {
                "prompt_id": prompt.prompt_id,
                "number": prompt.listed()[0],
                "node_errors": node_errors,
            }
        )

    def _number(self, body: dict[str, Json]) -> float:
        given = body.get("number")
        if isinstance(given, int | float):
            return float(given)
        number = self._machine.posts
        self._machine.posts += 1
        return -number if body.get("front") else number

    def _graph(self, given: Json) -> Graph:
        """Return the graph; raises Broken where the real server stumbles over it."""
        if not isinstance(given, dict):
            raise Broken
        graph: Graph = {}
        for node_id, node in given.items():
            if isinstance(node, dict):
                graph[node_id] = node
            elif self._machine.generation.modern or not isinstance(node, list):
                raise Broken
            else:
                graph[node_id] = {}  # the older one misses its class, and looks no further
                break
        return graph

    def _extra_data(self, body: dict[str, Json]) -> dict[str, Json]:
        given = body.get("extra_data")
        extra = dict(given) if isinstance(given, dict) else {}
        if "client_id" in body:
            extra["client_id"] = body["client_id"]
        if self._machine.generation.modern:
            extra["create_time"] = self._machine.milliseconds()
        return extra


def _canonical(prompt_id: Json) -> bool:
    try:
        return isinstance(prompt_id, str) and str(uuid.UUID(prompt_id)) == prompt_id
    except ValueError:
        return False


def _listed(value: Json) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _invented_errors(graph: Graph, node_id: str) -> Json:
    error: Json = {
        "type": "value_not_in_list",
        "message": "Value not in list",
        "details": "model_name: 'gone.safetensors' not in []",
        "extra_info": {"input_name": "model_name", "received_value": "gone.safetensors"},
    }
    class_type = graph[node_id]["class_type"]
    return {"errors": [error], "dependent_outputs": [node_id], "class_type": class_type}
