"""Brings finished prompts home, so many at a time; what cannot be fetched waits or is given up."""

import asyncio
from collections.abc import Mapping

import structlog

from config.settings import Workflow
from daemon.clock import Clock
from daemon.collect.backlog import Backlog
from daemon.collect.harvest import Harvest
from daemon.collect.part import discard, part_of
from daemon.collect.paths import OutputPaths
from daemon.collect.proof import BadOutput
from daemon.comfy.server import AnswerLost, Unreachable, WorkflowServer
from daemon.concern import Concern
from daemon.logs import about
from daemon.retrying import BAD_OUTPUT
from daemon.running import Crew
from daemon.settle.failure import after_failure, waiting_again
from daemon.words.retelling import SYSTEM, in_each_language, of_system
from ledger.entry import Transaction
from ledger.errors import Conflict, LedgerClosed
from ledger.freeing import freed_bit_by_bit
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: Tasks whose files are fetched at the same time.
DOWNLOADS = 16
#: How often the ledger is asked whether it can be written again.
IDLE_SECONDS = 5.0


class Collector:
    """Works on every task in ``collecting``; a killed download resumes from its ``.part``."""

    name = "collect"

    def __init__(
        self,
        ledger: Ledger,
        servers: Mapping[str, WorkflowServer],
        workflows: Mapping[str, Workflow],
        paths: OutputPaths,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._workflows = workflows
        self._paths = paths
        self._clock = clock
        self._harvest = Harvest(ledger, servers, paths, clock)
        self._backlog = Backlog()
        self._begun: set[str] = set()  # tasks that an earlier look may have fetched something of
        self._unstored: OSError | None = None  # why the last file could not be stored
        self._wake = asyncio.Event()
        self._crew = Crew(DOWNLOADS, freed=self._go_on)
        self._takes_work = False

    @property
    def concerns(self) -> list[Concern]:
        """Whether results cannot be stored: the outputs' disk is full, or not ours to write."""
        if self._unstored is None:
            return []
        reason = in_each_language(of_system(self._unstored), SYSTEM)
        path = str(self._paths.folder.path)
        return [Concern("concern.outputs", {"path": path, "reason": reason})]

    async def run(self, stop: asyncio.Event) -> None:
        """Collect until *stop*; what is being fetched then is left, to be resumed."""
        unsubscribe = self._ledger.subscribe(self._follow_ledger, Stage.COLLECTING)
        for task in self._ledger.in_stage(Stage.COLLECTING):
            self._begun.add(task.task_id)
            self._follow(task)
        self._takes_work = True
        try:
            while not stop.is_set():
                self._wake.clear()
                self._start_jobs()
                self._crew.check()
                await self._clock.pause(self._pause_seconds(), stop, self._wake)
        finally:
            self._takes_work = False
            unsubscribe()
            self._crew.cancel()
            await self._crew.finish()

    def _start_jobs(self) -> None:
        if not (self._takes_work and self._ledger.writable):
            return
        now = self._clock.monotonic()
        while self._crew.free and (task_id := self._backlog.take(now)) is not None:
            task = self._ledger.task(task_id)
            if task.stage is Stage.COLLECTING:
                self._crew.start(task_id, self._collect(task), about(task))
            else:
                self._backlog.forget(task_id)

    def _go_on(self) -> None:
        """Start the next job where one has ended; whoever pauses is woken for what comes later."""
        self._start_jobs()
        later = self._crew.free and self._backlog.seconds_to_next(0.0) is not None
        if later or self._crew.failed:
            self._wake.set()

    def _pause_seconds(self) -> float:
        if not self._crew.free:  # whose job ends first goes on
            return IDLE_SECONDS
        seconds = self._backlog.seconds_to_next(self._clock.monotonic())
        return IDLE_SECONDS if seconds is None else min(max(seconds, 0.05), IDLE_SECONDS)

    async def _collect(self, task: Task) -> None:
        if await self._deal_with(task):
            self._backlog.forget(task.task_id)
            self._begun.discard(task.task_id)
            if self._ledger.index.open_of_family(task.family) == task.task_id:
                self._follow(self._ledger.task(task.task_id))  # under other names it is there again

    async def _deal_with(self, task: Task) -> bool:
        """Bring a task's files in; returns False when it was put off."""
        try:
            await self._harvest.bring_in(task, begun=task.task_id in self._begun)
            self._unstored = None
        except FileExistsError as error:  # somebody put a file there after the name was chosen
            return await self._choose_other_names(task.task_id, str(error))
        except (Unreachable, AnswerLost, OSError, LedgerClosed) as error:  # passes; it is safe
            return self._postpone(task, error)
        except BadOutput as error:
            return await self._give_up(task.task_id, str(error))
        except Conflict:
            log.info("task.changed_meanwhile", task=task.task_id)
        return True

    def _postpone(self, task: Task, error: Exception) -> bool:
        self._begun.add(task.task_id)
        if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
            self._unstored = error
        pause_seconds = self._backlog.postpone(task.task_id, self._clock.monotonic())
        log.warning(
            "task.collect_postponed",
            task=task.task_id,
            server=task.server,
            error=str(error) or type(error).__name__,
            again_in_seconds=pause_seconds,
        )
        return False

    async def _give_up(self, task_id: str, message: str) -> bool:
        """Write down that the attempt's files are no good, then remove what was fetched of it."""
        task = self._ledger.task(task_id)
        after = self._after_bad_output(task, message)
        log.warning("task.bad_output", task=task_id, error=message, stage=after.stage.value)
        try:
            await self._ledger.commit(after, op="task.bad_output", reason=message)
        except (Conflict, LedgerClosed) as error:
            return self._postpone(task, error)
        paths = [output.path for output in task.outputs if output.path is not None]
        await asyncio.to_thread(self._remove, paths)
        return True

    def _after_bad_output(self, task: Task, message: str) -> Task:
        at = to_timestamp(self._clock.now())
        if task.metadata.adopted:  # the server died while it wrote them
            return waiting_again(task, at=at, lost_by_server=task.lost_by_server + 1)
        workflow = self._workflows.get(task.workflow_type)
        retries = workflow.max_auto_retries if workflow else 0
        return after_failure(task, BAD_OUTPUT.kind, message, at=at, max_auto_retries=retries)

    def _remove(self, recorded: list[str]) -> None:
        for each in recorded:
            path = self._paths.folder.absolute(each)
            with freed_bit_by_bit(path):
                path.unlink(missing_ok=True)
            discard(part_of(path))

    async def _choose_other_names(self, task_id: str, reason: str) -> bool:
        """Give files that are not proven yet names of their own; the next look fetches them."""
        task = self._ledger.task(task_id)
        outputs = self._paths.name_otherwise(task).outputs
        log.warning("task.name_taken", task=task_id, error=reason)
        if outputs == task.outputs:
            return self._postpone(task, FileExistsError(reason))
        renamed = task.changed(at=to_timestamp(self._clock.now()), outputs=outputs)
        try:
            await self._ledger.commit(renamed, op="task.name_taken", reason=reason)
        except (Conflict, LedgerClosed) as error:
            return self._postpone(task, error)
        return True

    def _follow_ledger(self, transaction: Transaction) -> None:
        for record in transaction.records:
            if isinstance(record, Task):
                self._follow(record)

    def _follow(self, task: Task) -> None:
        if task.stage is Stage.COLLECTING:
            self._backlog.add(task.task_id, self._clock.monotonic())
            if self._crew.free:
                self._wake.set()
