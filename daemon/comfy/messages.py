"""ComfyUI's JSON as structs, of both recorded generations (0.3.64 and 0.33.0).

Only what is used is declared; graphs and other large parts stay undecoded bytes (``Raw``), so that
a queue of a thousand prompts costs little. What custom nodes may fill at will is ``Raw`` too: one
odd entry must not make a whole answer unreadable.
"""

import re
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

T = TypeVar("T")
_STRING_OR_CONSTANT = re.compile(rb'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')
_AS_JSON = {b"Infinity": b"1e308", b"-Infinity": b"-1e308", b"NaN": b"null"}


class NotQuiteJson(Exception):
    """A body that holds NaN or Infinity: Python writes them, JSON knows them not."""


def decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return *body* as the *decoder* reads it; making one takes longer than a history entry.

    Raises msgspec.DecodeError, or NotQuiteJson when ``mended`` may help: custom nodes declare
    infinite limits in ``/object_info``, and their ``is_changed`` shows NaN in the history.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        if b"NaN" in body or b"Infinity" in body:
            raise NotQuiteJson from error
        raise


def mended(body: bytes) -> bytes:
    """Return *body* with NaN as null and infinities as huge numbers; slow, for another thread."""
    return _STRING_OR_CONSTANT.sub(lambda found: _AS_JSON.get(found[0], found[0]), body)


class System(msgspec.Struct, frozen=True):
    """The part of ``/system_stats`` about the program."""

    comfyui_version: str | None = None


class SystemStats(msgspec.Struct, frozen=True):
    """``GET /system_stats``."""

    system: System


class QueueEntry(msgspec.Struct, frozen=True, array_like=True):
    """One prompt in ``/queue``: a list whose places have meaning; later places are ignored."""

    number: float  # its rank; ``front`` makes it negative
    prompt_id: str
    graph: Raw
    extra_data: Raw = Raw(b"{}")


class Queue(msgspec.Struct, frozen=True):
    """``GET /queue``. In 0.3.64 the waiting ones stand in heap order, not by rank."""

    queue_running: tuple[QueueEntry, ...]
    queue_pending: tuple[QueueEntry, ...]


class OwnerTag(msgspec.Struct, frozen=True):
    """What we put into ``extra_data`` to know a prompt as ours."""

    task_id: str
    attempt: int
    prompt_id: str | None = None  # as we chose it; task ids repeat when two ledgers share a server


class ExtraData(msgspec.Struct, frozen=True):
    """``extra_data`` of a prompt, as far as it is ours."""

    rowkeeper: OwnerTag | None = None


class PromptRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``POST /prompt``."""

    prompt: object  # a Graph; msgspec knows no recursive aliases
    prompt_id: str
    client_id: str
    extra_data: ExtraData


class PromptAnswer(msgspec.Struct, frozen=True):
    """Its answer with status 200; *node_errors* says which parts were dropped."""

    prompt_id: str
    node_errors: dict[str, "NodeErrors"] | list[Raw] = {}


class ErrorExtra(msgspec.Struct, frozen=True):
    """What the server adds to a validation error."""

    input_name: str | None = None
    node_id: str | None = None
    class_type: str | None = None
    received_value: Raw | UnsetType = UNSET


class ValidationError(msgspec.Struct, frozen=True):
    """One reason why a prompt or a node of it is not valid."""

    type: str = ""
    message: str = ""
    details: str = ""
    extra_info: ErrorExtra = msgspec.field(default_factory=ErrorExtra)


class NodeErrors(msgspec.Struct, frozen=True):
    """The reasons at one node."""

    errors: tuple[ValidationError, ...] = ()
    class_type: str = ""


class RefusalBody(msgspec.Struct, frozen=True):
    """The body of a 400 to ``POST /prompt``."""

    error: ValidationError
    node_errors: dict[str, NodeErrors] | list[Raw] = {}


class StatusMessage(msgspec.Struct, frozen=True, array_like=True):
    """One ``[event, data]`` of a history entry."""

    event: str
    data: Raw


class EventData(msgspec.Struct, frozen=True):
    """The data of the execution events."""

    timestamp: float | None = None  # milliseconds since the epoch
    node_id: str | None = None
    node_type: str | None = None
    exception_message: str | None = None
    exception_type: str | None = None


class ExecutionStatus(msgspec.Struct, frozen=True):
    """How an execution ended."""

    status_str: str = ""
    messages: tuple[StatusMessage, ...] = ()


class HistoryEntry(msgspec.Struct, frozen=True):
    """One prompt in ``/history``: node id -> outputs, and how it ended."""

    outputs: dict[str, Raw] = {}
    status: ExecutionStatus | None = None


class NamedFile(msgspec.Struct, frozen=True):
    """A file in an output list; what else stands beside is ignored."""

    filename: str
    type: str
    subfolder: str = ""


class Uploaded(msgspec.Struct, frozen=True):
    """The answer to ``POST /upload/image``."""

    name: str
    subfolder: str = ""


class NodeProgress(msgspec.Struct, frozen=True):
    """One node in a ``progress_state`` frame."""

    state: str = ""
    value: float | None = None
    max: float | None = None


class FrameData(msgspec.Struct, frozen=True):
    """The data of the text frames that tell about a prompt."""

    prompt_id: str | None = None
    node: str | None = None
    value: float | None = None
    max: float | None = None
    nodes: dict[str, NodeProgress] | list[str] = {}  # a list in ``execution_cached``


class Frame(msgspec.Struct, frozen=True):
    """A text frame of the websocket."""

    type: str
    data: FrameData = msgspec.field(default_factory=FrameData)
