"""Brings finished prompts home: names, downloads, proves, renames, and only then says done."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from config.settings import Workflow
from daemon.clock import Clock
from daemon.collect.download import fetch
from daemon.collect.naming import output_path, with_suffix
from daemon.collect.part import discard
from daemon.collect.proof import BadOutput, place, prove
from daemon.comfy.server import AnswerLost, FileRef, Unreachable, WorkflowServer
from daemon.logs import about
from daemon.running import Crew
from daemon.settle.failure import after_failure, waiting_again
from ledger.entry import Transaction
from ledger.errors import Conflict, LedgerClosed
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import OutputFile, Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: Tasks whose files are fetched at the same time.
DOWNLOADS = 8
#: The safety net under the change feed.
IDLE_SECONDS = 5.0
#: First and longest pause before a task's files are asked for again.
BACKOFF_SECONDS = (1.0, 60.0)


class OutputFolder(msgspec.Struct, frozen=True, kw_only=True):
    """Where results go and how records name them."""

    path: Path  # absolute
    state_dir: Path  # absolute; paths in records are relative to it when inside
    name: str  # template, see ``naming``

    def recorded(self, path: Path) -> str:
        """Return *path* as records write it."""
        return (
            path.relative_to(self.state_dir).as_posix()
            if path.is_relative_to(self.state_dir)
            else str(path)
        )

    def absolute(self, recorded: str) -> Path:
        """Return where a recorded path lies."""
        return self.state_dir / recorded


class Collector:
    """Works on every task in ``collecting``; a killed download resumes from its ``.part``."""

    name = "collect"

    def __init__(
        self,
        ledger: Ledger,
        servers: Mapping[str, WorkflowServer],
        workflows: Mapping[str, Workflow],
        folder: OutputFolder,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._servers = servers
        self._workflows = workflows
        self._folder = folder
        self._clock = clock
        self._wake = asyncio.Event()
        self._crew = Crew(DOWNLOADS, freed=self._wake.set)
        self._naming = asyncio.Lock()
        self._not_before: dict[str, tuple[float, float]] = {}  # task id -> monotonic, pause

    async def run(self, stop: asyncio.Event) -> None:
        """Collect until *stop*; what is being fetched then is left, to be resumed."""
        unsubscribe = self._ledger.subscribe(self._follow_ledger)
        try:
            while not stop.is_set():
                self._wake.clear()
                if self._ledger.writable:
                    self._start_jobs()
                self._crew.check()
                await self._clock.pause(self._pause_seconds(), stop, self._wake)
        finally:
            unsubscribe()
            self._crew.cancel()
            await self._crew.finish()

    def _start_jobs(self) -> None:
        now = self._clock.monotonic()
        for task in self._ledger.in_stage(Stage.COLLECTING):
            if not self._crew.free:
                return
            due, _ = self._not_before.get(task.task_id, (now, 0.0))
            if task.task_id not in self._crew and due <= now:
                self._crew.start(task.task_id, self._collect(task), about(task))

    def _pause_seconds(self) -> float:
        now = self._clock.monotonic()
        due = [at - now for task_id, (at, _) in self._not_before.items()]
        return max(0.05, min([IDLE_SECONDS, *due]))

    async def _collect(self, task: Task) -> None:
        try:
            await self._fetch_all(task)
        except FileExistsError as error:  # somebody put a file there after the name was chosen
            await self._choose_other_names(task.task_id, str(error))
        except (Unreachable, AnswerLost, OSError) as error:  # passes; the prompt is safe
            self._postpone(task, error)
        except BadOutput as error:
            await self._give_up(task.task_id, str(error))
        except Conflict:
            log.info("task.changed_meanwhile", task=task.task_id)
        except LedgerClosed as error:
            self._postpone(task, error)
        else:
            self._not_before.pop(task.task_id, None)
        finally:
            self._wake.set()

    def _postpone(self, task: Task, error: Exception) -> None:
        _, pause_seconds = self._not_before.get(task.task_id, (0.0, 0.0))
        pause_seconds = min(max(2 * pause_seconds, BACKOFF_SECONDS[0]), BACKOFF_SECONDS[1])
        self._not_before[task.task_id] = (self._clock.monotonic() + pause_seconds, pause_seconds)
        log.warning(
            "task.collect_postponed",
            task=task.task_id,
            server=task.server,
            error=str(error) or type(error).__name__,
            again_in_seconds=pause_seconds,
        )

    async def _fetch_all(self, task: Task) -> None:
        """Fetch what the record does not yet prove; each proven file is committed at once."""
        server = self._servers.get(task.server or "")
        if server is None:
            raise Unreachable(f"server {task.server!r} is not in the settings any more")
        task = await self._name(task)
        for place_in_list, output in enumerate(task.outputs):
            if output.sha256 is not None and await self._is_there(output):
                continue
            proven = await self._fetch_one(server, output)
            before, after = task.outputs[:place_in_list], task.outputs[place_in_list + 1 :]
            outputs = (*before, proven, *after)
            at = to_timestamp(self._clock.now())
            if all(each.sha256 is not None for each in outputs):
                task = task.moved(
                    Stage.DONE,
                    at=at,
                    outputs=outputs,
                    output_files=tuple(each.path for each in outputs),
                    error_kind=None,
                    error_message=None,
                )
                await self._ledger.commit(task, op="task.done")
                log.info("task.done", task=task.task_id, batch=task.batch_id, files=len(outputs))
                return
            task = task.changed(at=at, outputs=outputs)
            await self._ledger.commit(task, op="task.file_proven")

    async def _name(self, task: Task) -> Task:
        """Commit the path of each output before anything is written there."""
        if all(output.path is not None for output in task.outputs):
            return task
        async with self._naming:  # two tasks must not choose the same free name
            taken = {
                output.path
                for other in self._ledger.in_stage(Stage.COLLECTING)
                for output in other.outputs
            }
            paths = await asyncio.to_thread(self._free_paths, task, taken)
            named = task.changed(
                at=to_timestamp(self._clock.now()),
                outputs=tuple(
                    msgspec.structs.replace(output, path=path)
                    for output, path in zip(task.outputs, paths, strict=True)
                ),
            )
            await self._ledger.commit(named, op="task.outputs_named")
        return named

    def _free_paths(self, task: Task, taken: set[str | None]) -> list[str]:
        paths: list[str] = []
        for index, output in enumerate(task.outputs, start=1):
            if output.path is not None:
                paths.append(output.path)
                continue
            suffix = Path(output.filename).suffix
            relative = output_path(self._folder.name, task, index, suffix)
            path = self._folder.path / relative
            if (
                path.exists()
                or _part_of(path).exists()
                or self._folder.recorded(path) in taken.union(paths)
            ):
                path = self._folder.path / with_suffix(relative, f"{task.task_id}-{task.attempt}")
            paths.append(self._folder.recorded(path))
        return paths

    async def _is_there(self, output: OutputFile) -> bool:
        path = self._folder.absolute(output.path or "")
        size_bytes = await asyncio.to_thread(lambda: path.stat().st_size if path.exists() else -1)
        return size_bytes == output.size_bytes

    async def _fetch_one(self, server: WorkflowServer, output: OutputFile) -> OutputFile:
        """Return *output* with its proof; a bad file is fetched once more before it is given up."""
        ref = FileRef(
            node=output.node,
            filename=output.filename,
            subfolder=output.subfolder,
            type=output.type,
        )
        final = self._folder.absolute(output.path or "")
        part = _part_of(final)
        await asyncio.to_thread(part.parent.mkdir, parents=True, exist_ok=True)
        for last_try in (False, True):
            try:
                fetched = await fetch(server, ref, part)
                await prove(part)
                break
            except FileNotFoundError as error:
                raise BadOutput(f"the server no longer has {output.filename}") from error
            except BadOutput:
                await asyncio.to_thread(discard, part)
                if last_try:
                    raise
        await place(part, final)
        return msgspec.structs.replace(output, sha256=fetched.sha256, size_bytes=fetched.size_bytes)

    async def _give_up(self, task_id: str, message: str) -> None:
        """Write down that the attempt's files are no good, then remove what was fetched of it."""
        task = self._ledger.task(task_id)
        at = to_timestamp(self._clock.now())
        workflow = self._workflows.get(task.workflow_type)
        if task.metadata.adopted:  # the server died while it wrote them
            after = waiting_again(task, at=at, lost_by_server=task.lost_by_server + 1)
        else:
            after = after_failure(
                task,
                "bad_output",
                message,
                at=at,
                max_auto_retries=workflow.max_auto_retries if workflow else 0,
            )
        log.warning("task.bad_output", task=task_id, error=message, stage=after.stage.value)
        try:
            await self._ledger.commit(after, op="task.bad_output", reason=message)
        except (Conflict, LedgerClosed) as error:
            self._postpone(task, error)
            return
        self._not_before.pop(task_id, None)
        for output in task.outputs:
            if output.path is not None:
                path = self._folder.absolute(output.path)
                await asyncio.to_thread(path.unlink, missing_ok=True)
                await asyncio.to_thread(discard, _part_of(path))

    async def _choose_other_names(self, task_id: str, reason: str) -> None:
        """Give up the names of files that are not proven yet; the next look chooses free ones."""
        task = self._ledger.task(task_id)
        unnamed = tuple(
            output if output.sha256 is not None else msgspec.structs.replace(output, path=None)
            for output in task.outputs
        )
        renamed = task.changed(at=to_timestamp(self._clock.now()), outputs=unnamed)
        log.warning("task.name_taken", task=task_id, error=reason)
        try:
            await self._ledger.commit(renamed, op="task.name_taken", reason=reason)
        except (Conflict, LedgerClosed) as error:
            self._postpone(task, error)

    def _follow_ledger(self, transaction: Transaction) -> None:
        if any(
            isinstance(record, Task) and record.stage is Stage.COLLECTING
            for record in transaction.records
        ):
            self._wake.set()


def _part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")
