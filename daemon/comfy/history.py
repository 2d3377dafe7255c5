"""Reads a history entry: how a prompt ended, what it made, why it failed. Pure."""

import contextlib
from collections.abc import Iterator

import msgspec
from msgspec import Raw

from daemon.comfy.messages import (
    EventData,
    ExecutionStatus,
    HistoryEntry,
    NamedFile,
)
from daemon.comfy.server import FileRef, NodeError, Sighting, State
from daemon.comfy.wording import cleaned
from daemon.words.recorded import recorded

_ENDINGS = ("execution_success", "execution_error", "execution_interrupted")
_OUT_OF_MEMORY_TYPES = ("OutOfMemoryError", "MemoryError")
#: What PyTorch, its CPU allocator and cuBLAS say; not all raise a type of their own.
_OUT_OF_MEMORY_WORDS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
#: What a node mostly leaves; whatever else it puts there is looked at item by item.
_LISTS_OF_FILES = msgspec.json.Decoder(dict[str, list[NamedFile]])
NO_STATUS = recorded("no_record")


def sighting_of(entry: HistoryEntry) -> Sighting:
    """Return what *entry* tells; a prompt in the history has always ended."""
    outputs = outputs_of(entry)
    status = entry.status
    if status is None:  # a server that was told nothing about the ending
        if outputs:
            return Sighting(state=State.SUCCEEDED, outputs=outputs)
        return Sighting(state=State.FAILED, error=_node_error(EventData(), NO_STATUS))
    events = _events(status)
    ending = next((name for name in reversed(_ENDINGS) if name in events), None)
    state = _state(status, ending)
    ended = events.get(ending) if ending else None
    return Sighting(
        state=state,
        outputs=outputs,
        error=_node_error(ended or EventData(), NO_STATUS) if state is State.FAILED else None,
        started_at=_seconds(events.get("execution_start")),
        ended_at=_seconds(ended),
    )


def outputs_of(entry: HistoryEntry) -> tuple[FileRef, ...]:
    """Return every file of every list of every node, in the server's order, each once.

    The key does not matter: core nodes use ``images`` even for videos, custom ones ``gifs``,
    ``audio`` and what they like.
    """
    return tuple(
        dict.fromkeys(
            _ref(node, file) for node, raw in entry.outputs.items() for file in _files(raw)
        )
    )


def _ref(node: str, file: NamedFile) -> FileRef:
    return FileRef(node=node, filename=file.filename, subfolder=file.subfolder, type=file.type)


def _files(raw: Raw) -> list[NamedFile]:
    """Return the files in the lists of *raw*, whatever else a node put there."""
    with contextlib.suppress(msgspec.ValidationError):
        return [file for listed in _LISTS_OF_FILES.decode(raw).values() for file in listed]
    files: list[NamedFile] = []
    with contextlib.suppress(msgspec.ValidationError):
        for value in msgspec.json.decode(raw, type=dict[str, Raw]).values():
            files += _files_among(value)
    return files


def _files_among(value: Raw) -> Iterator[NamedFile]:
    """Yield the files in *value*, if it is a list."""
    with contextlib.suppress(msgspec.ValidationError):
        for item in msgspec.json.decode(value, type=list[Raw]):
            with contextlib.suppress(msgspec.ValidationError):
                yield msgspec.json.decode(item, type=NamedFile)


def _events(status: ExecutionStatus) -> dict[str, EventData]:
    events: dict[str, EventData] = {}
    for message in status.messages:
        try:
            events[message.event] = msgspec.json.decode(message.data, type=EventData)
        except msgspec.ValidationError:
            events[message.event] = EventData()  # that it happened still counts
    return events


def _state(status: ExecutionStatus, ending: str | None) -> State:
    if ending == "execution_interrupted":
        return State.INTERRUPTED
    if status.status_str == "success" and ending != "execution_error":
        return State.SUCCEEDED
    return State.FAILED


def _node_error(event: EventData, otherwise: str) -> NodeError:
    said = event.exception_message or ""
    kind = event.exception_type or ""
    return NodeError(
        node_id=event.node_id,
        node_type=event.node_type,
        message=cleaned(said) or kind or otherwise,
        exception_type=event.exception_type,
        out_of_memory=kind.endswith(_OUT_OF_MEMORY_TYPES)
        or any(words.lower() in said.lower() for words in _OUT_OF_MEMORY_WORDS),
    )


def _seconds(event: EventData | None) -> float | None:
    return event.timestamp / 1000 if event is not None and event.timestamp is not None else None
