"""The way of a finished task's files: named, fetched, proven, in their place, in the ledger."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from daemon.clock import Clock
from daemon.collect.download import Fetched, Wanted, fetch
from daemon.collect.part import discard, part_of
from daemon.collect.paths import OutputPaths
from daemon.collect.proof import BadOutput, place, prove
from daemon.comfy.server import FileRef, Unreachable, WorkflowServer
from daemon.durable import make_folder
from daemon.words.recorded import recorded
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import OutputFile, Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()


class Harvest:
    """Brings tasks from ``collecting`` to ``done``."""

    def __init__(
        self,
        ledger: Ledger,
        servers: Mapping[str, WorkflowServer],
        paths: OutputPaths,
        clock: Clock,
    ) -> None:
        self._log = log.bind()  # the module's own is made anew for each line
        self._ledger = ledger
        self._servers = servers
        self._paths = paths
        self._clock = clock

    async def bring_in(self, task: Task, *, begun: bool = True) -> None:
        """Fetch what the record does not yet prove; each proven file is committed at once.

        Each path is in the ledger before anything is written there, so that a killed download is
        found and resumed; *begun* False says that there can be none. Raises BadOutput,
        FileExistsError (somebody has the name), Conflict, LedgerClosed, and Unreachable,
        AnswerLost or OSError for what passes; LedgerGone, with nothing written.
        """
        server = self._servers.get(task.server or "")
        if server is None:
            raise Unreachable(recorded("server_gone", server=task.server))
        if any(output.path is None for output in task.outputs):
            named = self._paths.name(task)
            task = task.changed(at=self._now(), outputs=named.outputs)
            await self._ledger.commit(task, op="task.outputs_named")
        for index, output in enumerate(task.outputs):
            if output.sha256 is not None and await self._is_there(output):
                continue
            proven = await self._fetch(server, output, begun=begun)
            task = self._with_proof(task, index, proven)
            if task.stage is Stage.DONE:
                await self._ledger.commit(task, op="task.done")
                break
            await self._ledger.commit(task, op="task.file_proven")
        self._log.info("task.done", task=task.task_id, batch=task.batch_id, files=len(task.outputs))

    def _with_proof(self, task: Task, index: int, proven: OutputFile) -> Task:
        """Return the task's next version; done when this was the last file."""
        outputs = (*task.outputs[:index], proven, *task.outputs[index + 1 :])
        if any(each.sha256 is None for each in outputs):
            return task.changed(at=self._now(), outputs=outputs)
        return task.moved(
            Stage.DONE,
            at=self._now(),
            outputs=outputs,
            output_files=tuple(each.path for each in outputs),
            error_kind=None,
            error_message=None,
        )

    async def _is_there(self, output: OutputFile) -> bool:
        path = self._paths.folder.absolute(output.path or "")
        size_bytes = await asyncio.to_thread(lambda: path.stat().st_size if path.exists() else -1)
        return size_bytes == output.size_bytes

    async def _fetch(
        self, server: WorkflowServer, output: OutputFile, *, begun: bool
    ) -> OutputFile:
        """Return *output* with its proof; the file lies under its name then."""
        ref = FileRef(
            node=output.node,
            filename=output.filename,
            subfolder=output.subfolder,
            type=output.type,
        )
        final = self._paths.folder.absolute(output.path or "")
        part = part_of(final)

        def accept(whole: Path, content: bytes | None) -> None:
            prove(whole, content)
            place(whole, final, noted=begun or content is None)

        wanted = Wanted(
            server=server,
            ref=ref,
            part=part,
            begun=begun,
            accept=accept,
            make_folder=self._make_folder,
        )
        try:
            fetched = await self._fetch_good(wanted)
        except FileNotFoundError as error:
            await asyncio.to_thread(self._ledger.prove_there)  # or it is our folder that is gone
            raise BadOutput(recorded("not_on_server", file=output.filename)) from error
        except FileExistsError:
            await asyncio.to_thread(discard, part)
            raise
        return msgspec.structs.replace(output, sha256=fetched.sha256, size_bytes=fetched.size_bytes)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder for results, unless the ledger's was moved away with the one before."""
        self._ledger.prove_there()
        make_folder(folder)

    async def _fetch_good(self, wanted: Wanted) -> Fetched:
        """Fetch a file; a bad one is fetched once more before it is given up."""
        try:
            return await fetch(wanted)
        except BadOutput:
            await asyncio.to_thread(discard, wanted.part)
        try:
            return await fetch(wanted)
        except BadOutput:
            await asyncio.to_thread(discard, wanted.part)
            raise

    def _now(self) -> str:
        return to_timestamp(self._clock.now())
