"""``/simulator/…``: orders to the simulator itself; no part of ComfyUI."""

import msgspec
from aiohttp import web

from daemon.comfy.simulator.answers import json_answer
from daemon.comfy.simulator.machine import Machine, Outage


class Order(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /simulator/faults``: *next* so many times, or with *probability*."""

    name: str | None = None  # None only with clear
    probability: float = 1.0
    next: int | None = None
    target: str | None = None
    seconds: float | None = None
    clear: bool = False


class Control:
    """Takes orders for faults and tells what was executed."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def get_faults(self, request: web.Request) -> web.Response:
        """List the orders in force, and how often each fault struck."""
        faults = self._machine.faults
        return json_answer(
            {"rules": msgspec.to_builtins(faults.rules()), "struck": dict(faults.struck)}
        )

    async def post_faults(self, request: web.Request) -> web.Response:
        """Order a fault, or end orders with ``clear``; 400 with the reason for a bad order."""
        faults = self._machine.faults
        try:
            order = msgspec.json.decode(await request.read(), type=Order)
            if order.clear or order.name is None:
                faults.clear(order.name, target=order.target)
            elif order.next is not None:
                faults.next(order.name, order.next, target=order.target, seconds=order.seconds)
            else:
                chance, target = order.probability, order.target
                faults.set(order.name, chance, target=target, seconds=order.seconds)
        except (ValueError, msgspec.ValidationError) as wrong:
            return json_answer({"error": str(wrong)}, 400)
        return await self.get_faults(request)

    async def get_executions(self, request: web.Request) -> web.Response:
        """List what was really executed, earlier lives of the server included."""
        return json_answer({"executions": msgspec.to_builtins(self._machine.executions.all())})

    async def post_restart(self, request: web.Request) -> web.Response:
        """Die and come back empty after ``?seconds=`` (default 0.1)."""
        seconds = float(request.rel_url.query.get("seconds", "0.1"))
        self._machine.suffer(Outage(seconds, forgets=True))
        return json_answer({})
