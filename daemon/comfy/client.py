"""ComfyUI as a ``WorkflowServer``: read ``submit`` first, the rest serves it.

The wire is in ``connection``, what comes over it in ``messages``; ``lookup``, ``history``,
``refusals``, ``progress`` and ``files`` read one kind of answer each.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import msgspec
import structlog
from msgspec import Raw

from daemon import failpoint
from daemon.clock import Clock
from daemon.comfy import files, lookup
from daemon.comfy import progress as push
from daemon.comfy.connection import Answer, Connection, Timeouts, answered
from daemon.comfy.messages import ExtraData, OwnerTag, PromptAnswer, PromptRequest, SystemStats
from daemon.comfy.node_classes import NodeClasses
from daemon.comfy.refusals import node_errors, refused, refused_nodes
from daemon.comfy.server import (
    AnswerLost,
    Capabilities,
    Download,
    FileHead,
    FileRef,
    Graph,
    Health,
    Json,
    Progress,
    Sighting,
    Ticket,
    Unreachable,
    WorkflowServer,
)
from daemon.comfy.version import OLDEST_USABLE, parsed, why_unusable
from daemon.words.recorded import recorded

log = structlog.get_logger()

#: Models put into its folders show up in a running server's /object_info, so it is read anew.
NODE_CLASSES_KEPT_SECONDS = 300.0
_STATS = msgspec.json.Decoder(SystemStats)
_CLASSES = msgspec.json.Decoder(dict[str, Raw])
_NO_SUCH_ROUTE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


class ComfyClient:
    """One ComfyUI of 0.3.57 or newer. Holds no truth: everything here may be lost at any moment."""

    capabilities = Capabilities(takes_our_prompt_id=True, cancels_by_id=True, probes_outputs=True)

    def __init__(
        self,
        name: str,
        url: str,
        *,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.name = name
        self._clock = clock
        self._connection = Connection(name, url, headers or {}, timeouts or Timeouts())
        self._reading_classes = asyncio.Lock()
        self._classes: NodeClasses | None = None
        self._classes_at = 0.0
        self._version: tuple[int, int, int] | None = None
        self._has_jobs_api: bool | None = None  # None = not asked since it was last gone
        self._outages_known = 0

    async def health(self) -> Health:
        """Return what the server says of itself; one too old or nameless is not usable."""
        stats = await self._connection.read("/system_stats", _STATS)
        queue = await lookup.read_queue(self._connection)
        version = stats.system.comfyui_version
        why_not = why_unusable(version)
        return Health(
            version=version or "unknown",
            usable=why_not is None,
            why_not=why_not,
            queue_running=len(queue.queue_running),
            queue_pending=len(queue.queue_pending),
        )

    async def node_classes(self) -> Mapping[str, Json]:
        """Return its ``/object_info``, kept until an outage, ``forget()`` or five minutes later."""
        async with self._reading_classes:
            self._forget_after_outage()
            age = self._clock.monotonic() - self._classes_at
            if self._classes is None or age > NODE_CLASSES_KEPT_SECONDS:
                seconds = self._connection.timeouts.node_classes_seconds
                told = await self._connection.read("/object_info", _CLASSES, seconds=seconds)
                self._classes, self._classes_at = NodeClasses(told), self._clock.monotonic()
            return self._classes

    def forget(self) -> None:
        """Ask the server anew what it is and has, at the next need."""
        self._classes = self._version = self._has_jobs_api = None

    async def submit(self, graph: Graph, ticket: Ticket, client_id: str) -> str:
        """Queue *graph* under the ticket's prompt id and return the id the server confirms.

        Posts once. Refused: nothing runs. Unreachable: nothing was queued. AnswerLost, or a crash
        in here: ``look_up`` tells whether it was.
        """
        tag = OwnerTag(task_id=ticket.task_id, attempt=ticket.attempt, prompt_id=ticket.prompt_id)
        request = PromptRequest(
            prompt=graph,
            prompt_id=ticket.prompt_id,
            client_id=client_id,
            extra_data=ExtraData(rowkeeper=tag),
        )
        answer = await self._change("submit", "/prompt", msgspec.json.encode(request))
        if answer.turned_away:
            raise self._connection.unreachable(answered("/prompt", answer.status))
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise refused(answer.status, answer.body, graph)
        try:
            accepted = msgspec.json.decode(answer.body, type=PromptAnswer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._connection.answer_lost("/prompt", recorded("not_comfyui")) from error
        if dropped := node_errors(accepted.node_errors):
            await self._take_back(msgspec.structs.replace(ticket, prompt_id=accepted.prompt_id))
            raise refused_nodes(dropped, graph)
        return accepted.prompt_id

    async def look_up(
        self, tickets: Sequence[Ticket], ended: Collection[str] = ()
    ) -> dict[str, Sighting]:
        """Return a sighting per prompt id: one read of the queue, then the history of the rest."""
        return await lookup.look_up(self._connection, tickets, ended)

    async def find_file(self, ref: FileRef) -> FileHead | None:
        """Return the file's head, or None when the server has no such file."""
        return await files.find_file(self._connection, ref)

    def open_file(self, ref: FileRef, offset: int = 0) -> AbstractAsyncContextManager[Download]:
        """Open a file from byte *offset* on; raises FileNotFoundError if it is not there."""
        return files.open_file(self._connection, ref, offset)

    async def upload(self, path: Path, name: str) -> str:
        """Store an input picture and return the name (``rowkeeper/…``) that LoadImage wants."""
        return await files.upload(self._connection, path, name)

    async def cancel(self, ticket: Ticket) -> None:
        """Take the prompt out of the queue or interrupt exactly it; unknown ids are no error.

        Says nothing about success: look again. May be repeated.
        """
        if await self._jobs_api_cancels(ticket):
            return
        await self._delete_waiting(ticket.prompt_id)
        if await self._interrupts_by_id():
            body = msgspec.json.encode({"prompt_id": ticket.prompt_id})
            self._must_be_done(await self._change("cancel", "/interrupt", body), "/interrupt")

    async def take_back(self, ticket: Ticket) -> None:
        """Take the prompt out of the queue if it waits there; one that runs is left alone.

        The server decides, in one step, so a prompt that begins meanwhile is not harmed.
        """
        await self._delete_waiting(ticket.prompt_id)

    async def delete_pending_copy(self, ticket: Ticket) -> None:
        """Remove one waiting entry of the prompt where the queue holds it twice."""
        queue = await lookup.read_queue(self._connection)
        sighting = lookup.in_queue(queue, [ticket]).get(ticket.prompt_id)
        waiting = lookup.waiting_ids(queue, ticket)
        if sighting is not None and sighting.copies > 1 and waiting:
            await self._delete_waiting(waiting[-1])

    async def free_memory(self) -> None:
        """Ask the server to unload its models before its next prompt."""
        body = msgspec.json.encode({"unload_models": True, "free_memory": True})
        self._must_be_done(await self._change("free", "/free", body), "/free")

    async def progress(self, client_id: str) -> AsyncGenerator[Progress, None]:
        """Yield news while one push connection, opened as *client_id*, lasts."""
        async with aclosing(push.progress(self._connection, client_id)) as feed:
            async for news in feed:
                yield news

    async def close(self) -> None:
        """Release the connections."""
        await self._connection.close()

    async def _change(self, what: str, path: str, body: bytes | None) -> Answer:
        times = self._connection.timeouts
        seconds = times.submit_seconds if what == "submit" else times.change_seconds
        failpoint.reach(f"comfy.{what}.before")
        answer = await self._connection.change(path, body, seconds=seconds)
        failpoint.reach(f"comfy.{what}.after")
        return answer

    def _must_be_done(self, answer: Answer, path: str) -> None:
        if answer.status != HTTPStatus.OK:
            raise self._connection.unreachable(answered(path, answer.status))

    async def _delete_waiting(self, prompt_id: str) -> None:
        body = msgspec.json.encode({"delete": [prompt_id]})
        self._must_be_done(await self._change("delete", "/queue", body), "/queue")

    async def _take_back(self, ticket: Ticket) -> None:
        """Cancel a prompt of which the server dropped a part; the rest would be wasted work."""
        try:
            await self.cancel(ticket)
        except (Unreachable, AnswerLost) as error:
            log.warning("prompt.not_taken_back", task=ticket.task_id, error=str(error))

    async def _jobs_api_cancels(self, ticket: Ticket) -> bool:
        """Cancel through ``/api/jobs`` where the server has it; False where it has not."""
        self._forget_after_outage()
        if self._has_jobs_api is False:
            return False
        path = f"/api/jobs/{quote(ticket.prompt_id, safe='')}/cancel"
        answer = await self._change("cancel", path, None)
        self._has_jobs_api = answer.status not in _NO_SUCH_ROUTE
        if self._has_jobs_api:
            self._must_be_done(answer, path)
        return self._has_jobs_api

    async def _interrupts_by_id(self) -> bool:
        """Say whether an interrupt spares other prompts: an older server stops whatever runs."""
        self._forget_after_outage()
        if self._version is None:
            stats = await self._connection.read("/system_stats", _STATS)
            self._version = parsed(stats.system.comfyui_version)
        return self._version is not None and self._version >= OLDEST_USABLE

    def _forget_after_outage(self) -> None:
        """Forget what a server told before it was gone: another version may have come back."""
        if self._outages_known != self._connection.outages:
            self._outages_known = self._connection.outages
            self.forget()


def as_workflow_server(client: ComfyClient) -> WorkflowServer:
    """Return *client* as what the steps know; mypy proves here that it keeps the contract."""
    return client
