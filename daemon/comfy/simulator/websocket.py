"""``/ws``: a client listens to its prompts."""

import uuid

import aiohttp
import orjson
from aiohttp import web

from daemon.comfy.simulator.about import features
from daemon.comfy.simulator.faults import Fault
from daemon.comfy.simulator.machine import Machine


class Websocket:
    """Keeps a socket in the list for as long as it lives."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def listen(self, request: web.Request) -> web.WebSocketResponse:
        """Greet with ``status`` and the session's id, then send what comes up."""
        machine, sockets = self._machine, self._machine.sockets
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.rel_url.query.get("clientId", "") or uuid.uuid4().hex
        again = sockets.was_here(client_id)
        sockets.add(client_id, socket)
        try:
            sockets.post("status", {"status": machine.queue_info(), "sid": client_id}, client_id)
            running = machine.queue.running
            if running is not None and running.client_id == client_id and machine.current_node:
                sockets.post("executing", {"node": machine.current_node}, client_id)
            if machine.faults.strike(Fault.SILENT_WEBSOCKET, client_id) or (
                again and machine.faults.strike(Fault.DEAF_RECONNECT, client_id)
            ):
                await sockets.flush()
                sockets.deafen(client_id)
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._answer(client_id, message.data)
        finally:
            sockets.remove(client_id, socket)
        return socket

    def _answer(self, client_id: str, text: str) -> None:
        try:
            said: object = orjson.loads(text)
        except orjson.JSONDecodeError:
            return
        if isinstance(said, dict) and said.get("type") == "feature_flags":
            known = features(modern=self._machine.generation.modern)
            self._machine.sockets.post("feature_flags", known, client_id)
