"""Reads an "Export (API)" file and finds in it what the settings name (pure)."""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

import msgspec
import orjson

from config.faults import Fault, fault, told
from daemon.comfy.server import Graph, Json
from daemon.words.retelling import JSON, in_each_language

_EXPORT = fault("mend_export")
#: So many of the known names are shown when none is near.
_SHOWN_NAMES = 12


class Problem(NamedTuple):
    """Something in the settings or the template that a person must mend."""

    key: str  #: of the settings, as it stands in the file: workflows."图片合成".inputs.seed
    what: Fault
    fix: Fault

    def text(self, language: str) -> str:
        """Return what is wrong and what mends it, in "zh" or "en"."""
        return told((self.what, self.fix), language)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """An input of a node, found from its name in the settings."""

    node_id: str
    input_name: str


class TemplateError(Exception):
    """A template cannot be used; ``problems`` lists everything that must be mended."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{each.key}: {each.text('en')}" for each in self.problems))


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
        is_empty = not source.strip()
        said, line, column = in_each_language(error.msg, JSON), str(error.lineno), str(error.colno)
        no_json = fault("template_no_json", said=said, line=line, column=column)
        what = fault("template_empty") if is_empty else no_json
        raise TemplateError([Problem(key, what, _EXPORT)]) from None
    wrong = _wrong_shape(document)
    if wrong is not None:
        raise TemplateError([Problem(key, wrong, _EXPORT)])
    return cast("Graph", document)  # _wrong_shape looked at every node


def _wrong_shape(document: Json) -> Fault | None:
    """Return what is wrong with the document's shape, or None."""
    if not isinstance(document, dict):
        return fault("template_no_workflow")
    if isinstance(document.get("nodes"), list):
        return fault("template_own_format")
    if not document:
        return fault("template_no_node")
    for node_id, node in document.items():
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            return fault("template_no_class", node=repr(node_id))
        if not isinstance(node.get("inputs"), dict):
            return fault("template_no_inputs", node=node_id)
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
        count, nodes = str(len(found)), tuple(found)
        what = fault("template_same_title", count=count, name=repr(name), nodes=nodes)
        return Problem(key, what, fault("mend_title"))
    titles = {title for node in graph.values() if (title := title_of(node))}
    what = fault("template_no_such_node", name=repr(name))
    return Problem(key, what, _suggest(name, titles | set(graph)))


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
        if first is None or (
            isinstance(node_id, str) and first.what.code == "template_no_such_node"
        ):
            first = problem
    what = fault("template_names_no_input", text=repr(text))
    return first or Problem(key, what, fault("mend_target"))


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
    where = {"node": node_id, "class_type": class_of(graph[node_id]), "name": repr(input_name)}
    if input_name not in inputs:
        free = [name for name, value in inputs.items() if not is_link(value)]
        return Problem(key, Fault("template_no_such_input", where), _suggest(input_name, free))
    if is_link(inputs[input_name]):
        source = inputs[input_name]
        assert isinstance(source, list)  # noqa: S101 - is_link said so
        what = fault("template_wired", **where, source=str(source[0]))
        return Problem(key, what, fault("mend_wired"))
    return None


def _suggest(name: str, known: Iterable[str]) -> Fault:
    """Return a fix that names the nearest known names."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return fault("mend_near", names=tuple(map(repr, near)))
    if not names:
        return fault("mend_none")
    shown = tuple(map(repr, names[:_SHOWN_NAMES]))
    return fault("mend_there_more" if len(names) > _SHOWN_NAMES else "mend_there", names=shown)
