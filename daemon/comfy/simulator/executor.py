"""Takes one prompt after the other, as the real server's one worker does."""

from concurrent.futures import ThreadPoolExecutor

from daemon.comfy.simulator.machine import Machine
from daemon.comfy.simulator.prompt import Prompt, class_name
from daemon.comfy.simulator.run import Run


class Executor:
    """The one worker of a machine; node functions run in *thread*, everything else in the loop."""

    def __init__(self, machine: Machine, thread: ThreadPoolExecutor) -> None:
        self._machine, self._thread = machine, thread
        self._last_kind: frozenset[str] = frozenset()
        self._run: Run | None = None

    async def work(self) -> None:
        """Execute prompts for as long as the server lives."""
        queue, sockets = self._machine.queue, self._machine.sockets
        while True:
            prompt = await queue.take()
            seconds = self._machine.pace.seconds_per_job + self._switch_seconds(prompt)
            self._run = Run(self._machine, self._thread, prompt, seconds)
            outcome = await self._run.execute()
            self._machine.current_node = None
            await sockets.flush()  # execution_success is out before the history knows the prompt
            queue.finish(outcome)
            self._run.progress.ended()

    def kill(self) -> None:
        """Let the node that runs now leave nothing behind."""
        if self._run is not None:
            self._run.bench.dead = True

    def _switch_seconds(self, prompt: Prompt) -> float:
        kind = frozenset(class_name(prompt.graph, node_id) for node_id in prompt.graph)
        switched, self._last_kind = kind != self._last_kind, kind
        return self._machine.pace.model_switch_seconds if switched else 0.0
