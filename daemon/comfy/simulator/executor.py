"""Runs one prompt after the other, node by node, as the real server's one worker does."""

import asyncio
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from daemon.comfy.server import Json
from daemon.comfy.simulator.faults import Fault
from daemon.comfy.simulator.machine import Machine, Outage
from daemon.comfy.simulator.progress import Progress
from daemon.comfy.simulator.prompt import Prompt, class_name, inputs, link, running_order
from daemon.comfy.simulator.queue import Outcome
from daemon.comfy.simulator.values import Bench, Killed, Result, Value

#: A long node tells its progress about this often.
_STEP_SECONDS = 0.25
_OUT_OF_MEMORY = (
    "Allocation on device 0 would exceed allowed memory. (out of memory)\n"
    "Currently allocated     : 22.31 GiB\n"
    "This error means you ran out of memory on your GPU.\n\n"
    "TIPS: If the workflow worked before you might have accidentally set the batch_size to a "
    "large number."
)


class _Interrupted(Exception):
    """Somebody asked to stop this prompt."""


class _Failed(Exception):
    """A node failed; carries what the server tells about it."""

    def __init__(self, kind: str, message: str, trace: list[str]) -> None:
        super().__init__(message)
        self.kind, self.message, self.trace = kind, message, trace


class Executor:
    """The one worker of a machine; node functions run in *thread*, everything else in the loop."""

    def __init__(self, machine: Machine, thread: ThreadPoolExecutor) -> None:
        self._machine, self._thread = machine, thread
        self._last_kind: frozenset[str] = frozenset()
        self._bench: Bench | None = None

    async def run(self) -> None:
        """Execute prompts for as long as the server lives."""
        queue, sockets = self._machine.queue, self._machine.sockets
        while True:
            prompt = await queue.take()
            run = _Run(self._machine, self._thread, prompt, self._switch_seconds(prompt))
            self._bench = run.bench
            outcome = await run.execute()
            await sockets.flush()  # execution_success is out before the history knows the prompt
            queue.finish(outcome)
            run.progress.ended()

    def kill(self) -> None:
        """Let the node that runs now leave nothing behind."""
        if self._bench is not None:
            self._bench.dead = True

    def _switch_seconds(self, prompt: Prompt) -> float:
        kind = frozenset(class_name(prompt.graph, node_id) for node_id in prompt.graph)
        switched, self._last_kind = kind != self._last_kind, kind
        return self._machine.pace.model_switch_seconds if switched else 0.0


class _Run:
    """One execution of one prompt."""

    def __init__(
        self, machine: Machine, thread: ThreadPoolExecutor, prompt: Prompt, extra_seconds: float
    ) -> None:
        self._machine, self._thread, self._prompt = machine, thread, prompt
        self._seconds = machine.pace.seconds_per_job + extra_seconds
        self._keys: dict[str, str] = {}
        self._results: dict[str, Result] = {}
        self._executed: list[str] = []
        self.progress = Progress(machine, prompt)
        self.bench = Bench(machine.folder, prompt.graph)

    async def execute(self) -> Outcome:
        """Run what is not cached; never raises but when the server dies."""
        machine, prompt = self._machine, self._prompt
        machine.interrupted.clear()
        self.progress.message("execution_start", {})
        self._keys = await self._in_thread(lambda: machine.cache.keys(prompt.graph))
        machine.cache.begin(self._keys)
        cached = [n for n in prompt.graph if self._recall(n)]
        if machine.faults.strike(Fault.CACHED_SUCCESS, *prompt.targets):
            return self._pretend()
        self.progress.message("execution_cached", {"nodes": [*cached]})
        order = running_order(prompt.graph, prompt.outputs, cached)
        fresh = [node_id for node_id in order if node_id not in cached]
        if fresh:
            return await self._counted(order, fresh)
        for node_id in order:
            self._repeat(node_id)
        return self._succeed()

    async def _counted(self, order: list[str], fresh: list[str]) -> Outcome:
        machine, prompt = self._machine, self._prompt
        run = machine.executions.begin(prompt.prompt_id, prompt.task, machine.clock.now())
        result, node_id = "error", order[0]
        self._prepare(fresh)
        try:
            for node_id in order:
                if node_id in fresh:
                    await self._node(node_id, fresh)
                else:
                    self._repeat(node_id)
            result = "success"
            return self._succeed()
        except _Interrupted:
            result = "interrupted"
            about = self._about(node_id)
            self.progress.message("execution_interrupted", about, to_all=True)
        except _Failed as failure:
            self.progress.message("execution_error", self._error(node_id, failure))
        finally:
            if not self.bench.dead:
                machine.executions.end(run, result, machine.clock.now())
        return self._outcome(succeeded=False)

    def _prepare(self, fresh: list[str]) -> None:
        """Throw the dice for the faults that strike in the middle."""
        strike, targets = self._machine.faults.strike, self._prompt.targets
        if slow := strike(Fault.SLOW, *targets):
            self._seconds += slow.seconds
        middle = fresh[len(fresh) // 2]
        self._plan = {
            fault: rule
            for fault in (Fault.OUT_OF_MEMORY, Fault.EXECUTION_ERROR, Fault.RESTART)
            if (rule := strike(fault, *targets))
        }
        self._middle = middle
        self._half_written = strike(Fault.HALF_WRITTEN_OUTPUT, *targets)
        self.bench.dies_while_writing = self._half_written is not None

    async def _node(self, node_id: str, fresh: list[str]) -> None:
        machine, graph = self._machine, self._prompt.graph
        self.progress.started(node_id)
        await self._take_time(node_id, self._seconds / len(fresh))
        if node_id == self._middle:
            await self._struck()
        node_type = machine.types.get(class_name(graph, node_id))
        if node_type is None:
            raise _Failed("KeyError", repr(class_name(graph, node_id)), [])
        given = self._given(node_id)
        try:
            result = await self._in_thread(lambda: node_type.work(self.bench, given))
        except Killed:
            await self._die(self._half_written.seconds if self._half_written else 0.0)
            raise
        except Exception as error:
            trace = traceback.format_tb(error.__traceback__)
            raise _Failed(_full_name(type(error)), f"{error}\n", trace) from error
        self._results[node_id] = result
        machine.cache.put(self._keys[node_id], result)
        self._executed.append(node_id)
        if result.report is not None:
            self.progress.reported(node_id, result.report)
        self.progress.finished(node_id)

    async def _struck(self) -> None:
        if rule := self._plan.get(Fault.RESTART):
            await self._die(rule.seconds)
        if Fault.OUT_OF_MEMORY in self._plan:
            trace = ['  File "/opt/ComfyUI/execution.py", line 545, in execute\n']
            raise _Failed("torch.OutOfMemoryError", _OUT_OF_MEMORY, trace)
        if Fault.EXECUTION_ERROR in self._plan:
            trace = ['  File "/opt/ComfyUI/execution.py", line 545, in execute\n']
            raise _Failed("RuntimeError", "The simulator was told to fail here.\n", trace)

    async def _die(self, seconds: float) -> None:
        self.bench.dead = True
        self._machine.suffer(Outage(seconds, forgets=True))
        await asyncio.Event().wait()  # the restart cancels this

    async def _take_time(self, node_id: str, seconds: float) -> None:
        """Let the simulated GPU work; an interrupt ends it at once."""
        interrupted = self._machine.interrupted
        steps = min(20, max(1, round(seconds / _STEP_SECONDS)))
        for step in range(1, steps + 1):
            if seconds > 0 and not interrupted.is_set():
                await self._machine.clock.pause(seconds / steps, interrupted)
            if interrupted.is_set():
                raise _Interrupted
            if steps > 1:
                self.progress.advanced(node_id, step, steps)

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
        self._results.clear()
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
            if source is not None:
                given[name] = self._results[source[0]].values[source[1]]
            elif isinstance(value, str | int | float):
                given[name] = value
        return given

    def _about(self, node_id: str) -> dict[str, Json]:
        node_type = class_name(self._prompt.graph, node_id)
        return {"node_id": node_id, "node_type": node_type, "executed": [*self._executed]}

    def _error(self, node_id: str, failure: _Failed) -> dict[str, Json]:
        given: dict[str, Json] = {
            name: [value if isinstance(value, str | int | float) else "<…>"]
            for name, value in self._given(node_id).items()
        }
        return {
            **self._about(node_id),
            "exception_message": failure.message,
            "exception_type": failure.kind,
            "traceback": [*failure.trace],
            "current_inputs": given,
            "current_outputs": [*self._results],
        }

    async def _in_thread(self, work):  # type: ignore[no-untyped-def]
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _full_name(kind: type[BaseException]) -> str:
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
