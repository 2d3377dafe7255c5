"""One execution of one prompt, node by node."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from daemon.comfy.server import Json
from daemon.comfy.simulator.faults import Fault
from daemon.comfy.simulator.machine import Machine, Outage
from daemon.comfy.simulator.progress import Progress
from daemon.comfy.simulator.prompt import Prompt, class_name, inputs, link, running_order
from daemon.comfy.simulator.queue import Outcome
from daemon.comfy.simulator.trouble import Interrupted, NodeFailed, Trouble, throw_dice
from daemon.comfy.simulator.values import Bench, Killed, Result, Value

_T = TypeVar("_T")

#: A long node tells its progress about this often.
_STEP_SECONDS = 0.25


class Run:
    """What is not cached runs; an execution counts when at least one node does."""

    def __init__(
        self, machine: Machine, thread: ThreadPoolExecutor, prompt: Prompt, seconds: float
    ) -> None:
        self._machine, self._thread, self._prompt = machine, thread, prompt
        self._seconds = seconds  # of simulated work, spread over the nodes that run
        self._keys: dict[str, str] = {}
        self._results: dict[str, Result] = {}
        self._executed: list[str] = []
        self._trouble = Trouble()
        self.progress = Progress(machine, prompt)
        self.bench = Bench(machine.folder, prompt.graph)

    async def execute(self) -> Outcome:
        """Run the prompt to its end, good or bad."""
        machine, prompt = self._machine, self._prompt
        machine.interrupted.clear()
        self.progress.message("execution_start", {})
        self._keys = await self._in_thread(lambda: machine.cache.keys(prompt.graph))
        machine.cache.begin(self._keys)
        if machine.faults.strike(Fault.CACHED_SUCCESS, *prompt.targets):
            return self._pretend()
        cached = [node_id for node_id in prompt.graph if self._recall(node_id)]
        self.progress.message("execution_cached", {"nodes": [*cached]})
        order = running_order(prompt.graph, prompt.outputs, cached)
        fresh = [node_id for node_id in order if node_id not in cached]
        if fresh:
            return await self._counted(order, fresh)
        for node_id in order:
            self._repeat(node_id)
        return self._succeed()

    async def _counted(self, order: list[str], fresh: list[str]) -> Outcome:
        """Run the *fresh* nodes of *order* and note begin and end; a killed one has no end."""
        machine, prompt = self._machine, self._prompt
        noted = machine.executions.begin(prompt.prompt_id, prompt.task, machine.clock.now())
        self._trouble = throw_dice(machine.faults, prompt.targets)
        self._seconds += self._trouble.slow_seconds
        self.bench.dies_while_writing = self._trouble.half_written_seconds is not None
        node_id = order[0]
        try:
            for node_id in order:
                if node_id in fresh:
                    await self._node(node_id, fresh)
                else:
                    self._repeat(node_id)
        except Interrupted:
            result, outcome = "interrupted", self._interrupted(node_id)
        except NodeFailed as failure:
            result, outcome = "error", self._failed(node_id, failure)
        else:
            result, outcome = "success", self._succeed()
        machine.executions.end(noted, result, machine.clock.now())
        return outcome

    async def _node(self, node_id: str, fresh: list[str]) -> None:
        machine, name = self._machine, class_name(self._prompt.graph, node_id)
        machine.current_node = node_id
        self.progress.started(node_id)
        await self._take_time(node_id, self._seconds / len(fresh))
        if node_id == fresh[len(fresh) // 2]:
            if self._trouble.restart_seconds is not None:
                await self._die(self._trouble.restart_seconds)
            self._trouble.fail()
        node_type = machine.types.get(name)
        if node_type is None:
            raise NodeFailed("KeyError", f"{name!r}\n", [])
        work, given = node_type.work, self._given(node_id)
        try:
            result = await self._in_thread(lambda: work(self.bench, given))
        except Killed:
            await self._die(self._trouble.half_written_seconds or 0.0)
            raise
        except Exception as error:  # whatever a node raises, the prompt fails and the server lives
            raise NodeFailed.of(error) from error
        self._results[node_id] = result
        machine.cache.put(self._keys[node_id], result)
        self._executed.append(node_id)
        if result.report is not None:
            self.progress.reported(node_id, result.report)
        self.progress.finished(node_id)

    async def _take_time(self, node_id: str, seconds: float) -> None:
        """Let the simulated GPU work; an interrupt ends it at once."""
        interrupted = self._machine.interrupted
        steps = min(20, max(1, round(seconds / _STEP_SECONDS)))
        for step in range(1, steps + 1):
            if seconds > 0 and not interrupted.is_set():
                await self._machine.clock.pause(seconds / steps, interrupted)
            if interrupted.is_set():
                raise Interrupted
            if steps > 1:
                self.progress.advanced(node_id, step, steps)

    async def _die(self, seconds: float) -> None:
        self.bench.dead = True
        self._machine.suffer(Outage(seconds, forgets=True))
        await asyncio.Event().wait()  # the end of this life cancels it

    def _recall(self, node_id: str) -> bool:
        result = self._machine.cache.get(self._keys[node_id])
        if result is not None:
            self._results[node_id] = result
        return result is not None

    def _repeat(self, node_id: str) -> None:
        self.progress.reported(node_id, self._results[node_id].report or {})
        self.progress.finished(node_id)

    def _pretend(self) -> Outcome:
        """Claim a full cache hit: each output node reports what it made in the prompt before."""
        self.progress.message("execution_cached", {"nodes": [*self._prompt.graph]})
        last = next(reversed(self._machine.queue.history.values()), None)
        for node_id in self._prompt.outputs:
            report = last.outcome.outputs.get(node_id) if last is not None else None
            if isinstance(report, dict):
                self._results[node_id] = Result((), report)
                self._repeat(node_id)
        return self._succeed()

    def _succeed(self) -> Outcome:
        self.progress.message("execution_success", {})
        return self._outcome(succeeded=True)

    def _interrupted(self, node_id: str) -> Outcome:
        self.progress.message("execution_interrupted", self._about(node_id), to_all=True)
        return self._outcome(succeeded=False)

    def _failed(self, node_id: str, failure: NodeFailed) -> Outcome:
        given: dict[str, Json] = {
            name: [value if isinstance(value, str | int | float) else "<…>"]
            for name, value in self._given(node_id).items()
        }
        about: dict[str, Json] = {
            "exception_message": failure.message,
            "exception_type": failure.kind,
            "traceback": [*failure.trace],
            "current_inputs": given,
            "current_outputs": [*self._results],
        }
        self.progress.message("execution_error", self._about(node_id) | about)
        return self._outcome(succeeded=False)

    def _about(self, node_id: str) -> dict[str, Json]:
        node_type = class_name(self._prompt.graph, node_id)
        return {"node_id": node_id, "node_type": node_type, "executed": [*self._executed]}

    def _outcome(self, *, succeeded: bool) -> Outcome:
        reports: dict[str, Json] = {
            node_id: result.report
            for node_id, result in self._results.items()
            if result.report is not None
        }
        return Outcome(succeeded=succeeded, outputs=reports, messages=self.progress.messages)

    def _given(self, node_id: str) -> Mapping[str, Value]:
        given: dict[str, Value] = {}
        for name, value in inputs(self._prompt.graph, node_id).items():
            source = link(value)
            if source is not None and source[0] in self._results:
                given[name] = self._results[source[0]].values[source[1]]
            elif isinstance(value, str | int | float):
                given[name] = value
        return given

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
