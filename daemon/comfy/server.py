"""The narrow contract between the steps and a server that runs workflows.

``dispatch``, ``follow``, ``collect`` and ``settle`` know only this file. ComfyUI is its first kind
(``client``); what a kind cannot do it says in ``Capabilities``, never by its type.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
#: An API-format workflow: node id -> {"class_type": …, "inputs": {…}, "_meta": {"title": …}}.
Graph: TypeAlias = dict[str, dict[str, Json]]

#: Events of ``Progress``; after "ended" a look finds the prompt in the history.
STARTED, NODE, ENDED = "started", "node", "ended"


class Unreachable(Exception):
    """No server is there to speak with.

    A change was surely not carried out: nothing was sent, or a proxy turned it away. A read may be
    asked again at any time, so whatever kept its answer back is this, a 5xx and nonsense too.
    """


class AnswerLost(Exception):
    """The request may or may not have been carried out: the answer is missing or a 5xx."""


class Refused(Exception):
    """The server answered that it will not do this (4xx, or node errors); nothing runs.

    ``kind`` is a failure class of ``retrying`` (``rejected``, ``missing_node``, ``missing_model``,
    ``missing_input``; for an upload ``bad_input``); the text names node and input and holds no path
    of the server.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a kind of server can do, as far as the steps must know."""

    takes_our_prompt_id: bool  # else the id comes from the answer, and listing must find it
    cancels_by_id: bool
    probes_outputs: bool  # files can be asked for by name after the server forgot the prompt


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """A server that answered."""

    version: str
    usable: bool  # new enough for our protocol
    why_not: str | None = None
    queue_running: int = 0
    queue_pending: int = 0


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What ties a prompt inside a server to a task of ours."""

    prompt_id: str
    task_id: str
    attempt: int


class State(StrEnum):
    """Where a server says a prompt is."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    ABSENT = "absent"  #: neither in the queue nor in the history, read in this order


class FileRef(msgspec.Struct, frozen=True, kw_only=True):
    """A file on the server; *node* made it."""

    node: str
    filename: str
    subfolder: str
    type: str


class NodeError(msgspec.Struct, frozen=True, kw_only=True):
    """Why an execution failed; *message* holds neither traceback nor paths of the server."""

    node_id: str | None
    node_type: str | None
    message: str
    exception_type: str | None = None  # e.g. "torch.OutOfMemoryError"
    out_of_memory: bool = False


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """What a server knows of one prompt at one moment. Times are seconds since the epoch."""

    state: State
    outputs: tuple[FileRef, ...] = ()
    error: NodeError | None = None
    started_at: float | None = None  # execution_start, by the server's clock
    ended_at: float | None = None
    position: int | None = None  # 0 = next, for pending ones
    copies: int = 1  # entries of this prompt in the queue


class FileHead(msgspec.Struct, frozen=True, kw_only=True):
    """A file that exists on the server."""

    size_bytes: int
    last_modified: str | None = None


class Download(Protocol):
    """An answer with a file's bytes, from ``offset`` on."""

    offset: int  # where the bytes begin: as asked, or 0 when the server ignored the range
    total_bytes: int | None  # of the whole file, when the server told
    last_modified: str | None  # as the server writes it

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes; raises AnswerLost when they end before the promised length."""
        ...


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """News about a prompt from the push channel; a hint, never the truth."""

    prompt_id: str
    event: str  # STARTED, NODE or ENDED
    node: str | None = None
    value: float | None = None
    maximum: float | None = None


class WorkflowServer(Protocol):
    """One server. Every call may raise Unreachable; those that change something, AnswerLost."""

    name: str
    capabilities: Capabilities

    async def health(self) -> Health:
        """Return what the server says of itself."""
        ...

    async def node_classes(self) -> Mapping[str, Json]:
        """Return its ``/object_info`` (class name -> description), cached while it stays up."""
        ...

    def forget(self) -> None:
        """Drop what is cached of the server; it showed that it changed."""
        ...

    async def submit(self, graph: Graph, ticket: Ticket, client_id: str) -> str:
        """Queue *graph* and return its prompt id; raises Refused or AnswerLost.

        Posts exactly once: never repeated here, whatever happens.
        """
        ...

    async def look_up(
        self, tickets: Sequence[Ticket], ended: Collection[str] = ()
    ) -> dict[str, Sighting]:
        """Return a sighting per prompt id: one read of the queue, **then** the history of the rest.

        ComfyUI moves a prompt from queue to history under one lock, so this order cannot miss it.
        Prompts that are said to have *ended* are found in the history at once, if they are there.
        """
        ...

    async def find_file(self, ref: FileRef) -> FileHead | None:
        """Return the file's head, or None when the server has no such file."""
        ...

    def open_file(self, ref: FileRef, offset: int = 0) -> AbstractAsyncContextManager[Download]:
        """Open a file from byte *offset* on; raises FileNotFoundError if it is not there."""
        ...

    async def upload(self, path: Path, name: str) -> str:
        """Store an input picture under *name* and return the name the server gave it.

        Idempotent: the same bytes under the same name are kept once.
        """
        ...

    async def cancel(self, ticket: Ticket) -> None:
        """Take the prompt out of the queue or interrupt exactly it; unknown ids are no error.

        Says nothing about success: look again.
        """
        ...

    async def take_back(self, ticket: Ticket) -> None:
        """Take the prompt out of the queue if it waits there; one that runs is left alone.

        Says nothing about success: look again.
        """
        ...

    async def delete_pending_copy(self, ticket: Ticket) -> None:
        """Remove one waiting entry of the prompt from the queue where it stands there twice."""
        ...

    async def free_memory(self) -> None:
        """Ask the server to unload its models (``POST /free``)."""
        ...

    async def progress(self, client_id: str) -> AsyncGenerator[Progress, None]:
        """Yield news while one push connection, opened as *client_id*, lasts."""
        yield Progress(prompt_id="", event="")  # pragma: no cover - shows that it is a generator

    async def close(self) -> None:
        """Release the connections."""
        ...
