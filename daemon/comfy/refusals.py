"""Reads why a server refused a workflow: failure class, and words naming node and input. Pure."""

import re
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import UNSET, Raw

from daemon.comfy.messages import NodeErrors, RefusalBody, ValidationError
from daemon.comfy.server import Graph, Refused
from daemon.comfy.wording import LONGEST_MESSAGE_CHARACTERS, cleaned, shortened
from daemon.retrying import MISSING_INPUT, MISSING_MODEL, MISSING_NODE, REJECTED
from daemon.words.recorded import recorded, together

#: Which kind wins when nodes complain about different things: what stops every row comes first,
#: and what another upload may heal comes last.
_PRECEDENCE = tuple(each.kind for each in (MISSING_NODE, MISSING_MODEL, REJECTED, MISSING_INPUT))
_MODEL_INPUT = re.compile(r"(?<!sampler)(?<!scheduler)_name\d*$")
_MODEL_FILE = re.compile(r"\.(safetensors|sft|ckpt|pth?|bin|gguf|onnx)\b", re.IGNORECASE)
_MEDIA_FILE = re.compile(
    r"\.(png|jpe?g|webp|gif|bmp|tiff?|mp4|webm|mov|mkv|avi|wav|mp3|flac|ogg)\b", re.IGNORECASE
)
_NODE_ID = re.compile(r"Node ID '#(.*)'")
_UNKNOWN_CLASS = re.compile(r"because node (.+) does not exist")
_MOST_ERRORS_NAMED = 5


def refused(status: int, body: bytes, graph: Graph) -> Refused:
    """Return the error for a 4xx answer to ``POST /prompt`` with *graph*."""
    try:
        answer = msgspec.json.decode(body, type=RefusalBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        why = cleaned(body.decode("utf-8", "replace"), 200) or recorded("no_reason")
        return Refused(REJECTED.kind, recorded("workflow_refused", status=status, why=why))
    nodes = node_errors(answer.node_errors)
    return refused_nodes(nodes, graph) if nodes else _refused_whole(answer.error, graph)


def node_errors(said: dict[str, NodeErrors] | list[Raw]) -> dict[str, NodeErrors]:
    """Return the errors per node; some versions write a list when there are none."""
    return said if isinstance(said, dict) else {}


def refused_nodes(errors: Mapping[str, NodeErrors], graph: Graph) -> Refused:
    """Return the error for complaints at single nodes."""
    told = list(_told(errors, graph))
    kinds = {kind for kind, _ in told}
    kind = next((each for each in _PRECEDENCE if each in kinds), REJECTED.kind)
    told.sort(key=lambda each: each[0] != kind)  # the deciding one must not be cut off
    texts = [text for _, text in told[:_MOST_ERRORS_NAMED]]
    if len(told) > _MOST_ERRORS_NAMED:
        texts.append(recorded("more", count=len(told) - _MOST_ERRORS_NAMED))
    return Refused(kind, shortened(together(*texts), LONGEST_MESSAGE_CHARACTERS))


def _told(errors: Mapping[str, NodeErrors], graph: Graph) -> Iterator[tuple[str, str]]:
    for node_id, at_node in errors.items():
        name = _node_name(node_id, at_node.class_type, graph)
        for error in at_node.errors or (ValidationError(message=recorded("not_valid")),):
            yield _kind(error), recorded("node", node=name, why=_complaint(error))


def _refused_whole(error: ValidationError, graph: Graph) -> Refused:
    """Return the error for a complaint about the workflow as a whole."""
    unknown = _UNKNOWN_CLASS.search(error.message)
    if error.type == "missing_node_type" or unknown:
        at = _NODE_ID.search(error.details)
        node_id = error.extra_info.node_id or (at[1] if at else "?")
        class_type = error.extra_info.class_type or (unknown[1] if unknown else "?")
        name = _node_name(node_id, class_type, graph)
        return Refused(MISSING_NODE.kind, recorded("not_installed", node=name))
    text = error.message or error.type or recorded("refused")
    if error.details and error.details != error.message:
        text = f"{text} ({error.details})"
    return Refused(REJECTED.kind, cleaned(text))


def _node_name(node_id: str, class_type: str, graph: Graph) -> str:
    """Return ``"title" (Class)``, with the id where the workflow gives no title."""
    node = graph.get(node_id, {})
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    shown = f'"{title}"' if isinstance(title, str) and title else node_id
    return f"{shown} ({class_type or node.get('class_type') or '?'})"


def _complaint(error: ValidationError) -> str:
    """Return ``input – what is wrong with it``."""
    name = error.extra_info.input_name
    details = error.details
    if name and details.startswith(name):
        details = details.removeprefix(name).lstrip(" ,:-")
    if error.type in ("custom_validation_failed", "value_not_in_list") and details:
        said = details
    else:
        said = (
            f"{error.message} ({details})"
            if details and error.message
            else error.message or details
        )
    said = cleaned(said, 200) or error.type
    return f"{name} – {said}" if name else said


def _kind(error: ValidationError) -> str:
    name = error.extra_info.input_name or ""
    value = error.extra_info.received_value
    received = bytes(value).decode("utf-8", "replace") if value is not UNSET else ""
    if error.type == "custom_validation_failed" and re.search(
        r"Invalid (image|video|audio|mask)? ?file", error.details, re.IGNORECASE
    ):
        return MISSING_INPUT.kind
    if error.type != "value_not_in_list":
        return REJECTED.kind
    if _MODEL_INPUT.search(name) or _MODEL_FILE.search(received):
        return MISSING_MODEL.kind
    return MISSING_INPUT.kind if _MEDIA_FILE.search(received) else REJECTED.kind
