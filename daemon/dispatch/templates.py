"""Reads an "Export (API)" file and finds in it what the settings name (pure)."""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

import msgspec
import orjson

from daemon.comfy.server import Graph, Json

_EXPORT = "in ComfyUI choose Workflow → Export (API) and name that file"
#: So many of the known names are shown when none is near.
_SHOWN_NAMES = 12


class Problem(NamedTuple):
    """Something in the settings or the template that a person must mend."""

    key: str  #: of the settings, as it stands in the file: workflows."图片合成".inputs.seed
    what: str
    fix: str


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """An input of a node, found from its name in the settings."""

    node_id: str
    input_name: str


class TemplateError(Exception):
    """A template cannot be used; ``problems`` lists everything that must be mended."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{key}: {what} ({fix})" for key, what, fix in self.problems))


def settings_key(*parts: str) -> str:
    """Return the dotted key as TOML writes it; parts that are no bare keys are quoted."""
    return ".".join(
        part
        if re.fullmatch(r"[A-Za-z0-9_-]+", part)
        else f'"{part.replace(chr(34), chr(92) + chr(34))}"'
        for part in parts
    )


def parse(source: bytes, key: str) -> Graph:
    """Return the graph in *source*; raises TemplateError when it is not in API format."""
    try:
        document: Json = orjson.loads(source.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        what = "the file is empty" if not source.strip() else f"the file is not JSON: {error}"
        raise TemplateError([Problem(key, what, _EXPORT)]) from None
    wrong = _wrong_shape(document)
    if wrong is not None:
        raise TemplateError([Problem(key, wrong, _EXPORT)])
    return cast("Graph", document)  # _wrong_shape looked at every node


def _wrong_shape(document: Json) -> str | None:
    """Return what is wrong with the document's shape, or None."""
    if not isinstance(document, dict):
        return "the file holds no workflow: a JSON object of nodes is expected"
    if isinstance(document.get("nodes"), list):
        return (
            "the file is in ComfyUI's own save format (it has nodes and links), not in API format"
        )
    if not document:
        return "the file holds no node"
    for node_id, node in document.items():
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            return f"the file is not in API format: {node_id!r} is no node (it has no class_type)"
        if not isinstance(node.get("inputs"), dict):
            return f"the file is not in API format: node {node_id} has no inputs"
    return None


def title_of(node: dict[str, Json]) -> str | None:
    """Return the title people see on the node, or None when the export has none."""
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    return title.strip() if isinstance(title, str) else None


def inputs_of(node: dict[str, Json]) -> dict[str, Json]:
    """Return the node's inputs, to be read or written."""
    inputs = node["inputs"]
    assert isinstance(inputs, dict)  # noqa: S101 - parse refused everything else
    return inputs


def class_of(node: dict[str, Json]) -> str:
    """Return the node's class."""
    return str(node["class_type"])


def is_link(value: Json) -> bool:
    """Say whether an input's value is a wire from another node: ``[node id, output number]``."""
    return (
        isinstance(value, list)
        and len(value) == 2  # noqa: PLR2004 - that is its form
        and isinstance(value[0], str)
        and isinstance(value[1], int)
    )


def nodes_named(graph: Graph, name: str) -> list[str]:
    """Return the ids of the nodes of this title or id."""
    return [node_id for node_id, node in graph.items() if node_id == name or title_of(node) == name]


def find_node(graph: Graph, name: str, key: str) -> str | Problem:
    """Return the id of the one node of this title or id, or what is wrong with the name."""
    name = name.strip()
    found = nodes_named(graph, name)
    if len(found) == 1:
        return found[0]
    if found:
        what = f"{len(found)} nodes are called {name!r}: {', '.join(found)}"
        return Problem(key, what, "give one of them a title of its own, or name it by its id")
    titles = {title for node in graph.values() if (title := title_of(node))}
    return Problem(key, f"the template has no node {name!r}", _suggest(name, titles | set(graph)))


def find_target(graph: Graph, text: str, key: str) -> Target | Problem:
    """Return the input that "node title or id . input name" means, or what is wrong with it.

    The longest node name that fits wins, so titles with dots and inputs with dots both work.
    """
    first: Problem | None = None
    for name, input_name in _splits(text):
        node_id = find_node(graph, name, key)
        if isinstance(node_id, str):
            problem = _unusable(graph, node_id, input_name, key)
            if problem is None:
                return Target(node_id=node_id, input_name=input_name)
        else:
            problem = node_id
        # What is said of a node that exists helps more than that another does not.
        if first is None or (isinstance(node_id, str) and "has no node" in first.what):
            first = problem
    return first or Problem(key, f"{text!r} names no input", 'write "node title . input name"')


def _splits(text: str) -> Iterator[tuple[str, str]]:
    """Yield node name and input name for each dot of *text*, the last dot first."""
    for place in range(len(text) - 1, 0, -1):
        if text[place] == ".":
            name, input_name = text[:place].strip(), text[place + 1 :].strip()
            if name and input_name:
                yield name, input_name


def _unusable(graph: Graph, node_id: str, input_name: str, key: str) -> Problem | None:
    """Return why nothing can be filled into this input, or None."""
    inputs = inputs_of(graph[node_id])
    where = f"node {node_id} ({class_of(graph[node_id])})"
    if input_name not in inputs:
        free = [name for name, value in inputs.items() if not is_link(value)]
        return Problem(key, f"{where} has no input {input_name!r}", _suggest(input_name, free))
    if is_link(inputs[input_name]):
        source = inputs[input_name]
        assert isinstance(source, list)  # noqa: S101 - is_link said so
        what = f"input {input_name!r} of {where} is wired to node {source[0]}"
        return Problem(key, what, "name an input that is not wired, or the node it is wired to")
    return None


def _suggest(name: str, known: Iterable[str]) -> str:
    """Return a fix that names the nearest known names."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(repr(one) for one in near)}?"
    if not names:
        return "it has none that can be filled"
    shown = ", ".join(repr(one) for one in names[:_SHOWN_NAMES])
    return f"there are {shown}" + (", ..." if len(names) > _SHOWN_NAMES else "")
