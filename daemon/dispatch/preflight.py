"""Asks of a graph, before anything is posted, whether a server can run it (pure).

What ComfyUI would refuse is told here with node and input, from the server's ``/object_info``.
Where only the server can know (inputs that a node checks itself), nothing is said: a problem keeps
a row waiting, so a wrong one would keep it waiting for ever.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from daemon.comfy.server import Graph, Json
from daemon.dispatch.declared import Declared, declared_inputs, is_output_class
from daemon.dispatch.templates import class_of, inputs_of, is_link, title_of
from daemon.dispatch.workflow import Template
from daemon.retrying import MISSING_MODEL, MISSING_NODE, REJECTED
from daemon.words.recorded import recorded

_MODEL_INPUT = re.compile(r".*_name[0-9]*|.*(ckpt|lora|vae|unet|clip|checkpoint|controlnet).*")
_MODEL_FILE = re.compile(r".*\.(safetensors|ckpt|pth?|bin|gguf|sft|onnx)", re.IGNORECASE)
_NO_MODEL = frozenset({"sampler_name", "scheduler_name"})


class NodeProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a server cannot run a graph; ``kind`` is a failure class of ``retrying``."""

    kind: str
    node_id: str
    input_name: str | None
    message: str


class Preflight:
    """Checks the graphs of one template against one server's classes.

    They differ only in what rows fill in. So all else, the larger part by far, is looked into once,
    and a graph as a whole only where something is wrong with it.
    """

    def __init__(self, template: Template, node_classes: Mapping[str, Json], graph: Graph) -> None:
        """*graph*: one that the template made; which one does not matter."""
        self._template = template
        self._node_classes = node_classes
        filled = template.filled_inputs(graph)
        found = check_graph(graph, node_classes)
        self._rest_is_sound = all((each.node_id, each.input_name) in filled for each in found)
        self._filled = [
            (node_id, input_name, _declared_input(graph, node_id, input_name, node_classes))
            for node_id, input_name in filled
        ]

    def is_of(self, template: Template, node_classes: Mapping[str, Json]) -> bool:
        """Say whether it still holds: neither was read anew."""
        return self._template is template and self._node_classes is node_classes

    def problems(self, graph: Graph) -> list[NodeProblem]:
        """Return what ``check_graph`` does."""
        if self._rest_is_sound and not any(
            self._is_doubtful(graph, node_id, input_name, declared)
            for node_id, input_name, declared in self._filled
        ):
            return []
        return check_graph(graph, self._node_classes)

    def _is_doubtful(
        self, graph: Graph, node_id: str, input_name: str, declared: Declared | None
    ) -> bool:
        value = inputs_of(graph[node_id])[input_name]
        if isinstance(value, list | dict):  # maybe a wire: the graph has another shape
            return True
        if declared is None or declared.is_upload:
            return False
        return any(_check_value(graph, node_id, declared, value))


def _declared_input(
    graph: Graph, node_id: str, input_name: str, node_classes: Mapping[str, Json]
) -> Declared | None:
    declared = declared_inputs(node_classes.get(class_of(graph[node_id])))
    return next((each for each in declared if each.name == input_name), None)


def check_graph(graph: Graph, node_classes: Mapping[str, Json]) -> list[NodeProblem]:
    """Return why a server with these classes would refuse *graph*; the gravest kind first.

    Only nodes that lead to an output are looked into, as the server does; unknown classes count
    everywhere. Pictures to be uploaded need not be there yet.
    """
    problems = [
        _problem(graph, node_id, MISSING_NODE.kind, recorded("no_class"))
        for node_id, node in graph.items()
        if not node_classes.get(class_of(node))
    ]
    if problems:
        return problems
    for node_id in _leading_to_outputs(graph, node_classes):
        problems += _check_node(graph, node_id, node_classes)
    return sorted(problems, key=lambda problem: problem.kind != MISSING_MODEL.kind)


def _leading_to_outputs(graph: Graph, node_classes: Mapping[str, Json]) -> list[str]:
    """Return the ids of all output nodes and of what they hang on, in the graph's order."""
    todo = [
        node_id for node_id, node in graph.items() if is_output_class(node_classes[class_of(node)])
    ]
    found: set[str] = set()
    while todo:
        node_id = todo.pop()
        if node_id in found or node_id not in graph:
            continue
        found.add(node_id)
        todo += [source for _, source in _links(graph, node_id)]
    return [node_id for node_id in graph if node_id in found]


def _links(graph: Graph, node_id: str) -> Iterator[tuple[str, str]]:
    """Yield the wired inputs of a node, each with the node it hangs on."""
    for name, value in inputs_of(graph[node_id]).items():
        if isinstance(value, list) and is_link(value):
            yield name, str(value[0])


def _check_node(
    graph: Graph, node_id: str, node_classes: Mapping[str, Json]
) -> Iterator[NodeProblem]:
    for name, source in _links(graph, node_id):
        if source not in graph:
            yield _problem(
                graph, node_id, REJECTED.kind, recorded("no_source", source=source), name
            )
    inputs = inputs_of(graph[node_id])
    for declared in declared_inputs(node_classes[class_of(graph[node_id])]):
        if declared.name not in inputs:
            if declared.required:
                yield _problem(graph, node_id, REJECTED.kind, recorded("required"), declared.name)
        elif not is_link(inputs[declared.name]) and not declared.is_upload:
            yield from _check_value(graph, node_id, declared, _unwrapped(inputs[declared.name]))


def _check_value(
    graph: Graph, node_id: str, declared: Declared, value: Json
) -> Iterator[NodeProblem]:
    """Yield what is wrong with a value that stands in the graph itself."""
    if declared.options is not None:
        for chosen in value if declared.is_multiple and isinstance(value, list) else [value]:
            if chosen not in declared.options and (kind := _kind_of_choice(declared, chosen)):
                what = _not_offered(chosen, declared.options)
                yield _problem(graph, node_id, kind, what, declared.name)
    elif declared.type in ("INT", "FLOAT"):
        wrong = _out_of_bounds(declared, value)
        if wrong is not None:
            yield _problem(graph, node_id, REJECTED.kind, wrong, declared.name)


def _kind_of_choice(declared: Declared, chosen: Json) -> str | None:
    """Return the failure class of a choice that is not offered, or None when nobody can know."""
    if isinstance(chosen, str) and _MODEL_FILE.fullmatch(chosen):
        return MISSING_MODEL.kind
    if declared.is_custom:  # such nodes may fill their lists in the browser and check them alone
        return None
    is_model = _MODEL_INPUT.fullmatch(declared.name) and declared.name not in _NO_MODEL
    return MISSING_MODEL.kind if is_model else REJECTED.kind


def _out_of_bounds(declared: Declared, value: Json) -> str | None:
    """Return what is wrong with a number as ComfyUI reads it, or None."""
    try:
        number = int(value) if declared.type == "INT" else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        wrong = "value_no_whole" if declared.type == "INT" else "value_no_number"
        return recorded(wrong, value=repr(value))
    if declared.minimum is not None and number < declared.minimum:
        return recorded("too_small", value=number, limit=declared.minimum)
    if declared.maximum is not None and number > declared.maximum:
        return recorded("too_big", value=number, limit=declared.maximum)
    return None


def _problem(
    graph: Graph, node_id: str, kind: str, what: str, input_name: str | None = None
) -> NodeProblem:
    node = graph[node_id]
    title = title_of(node)
    called = class_of(node) if title in (None, class_of(node)) else f"{class_of(node)} {title!r}"
    where = f"{node_id} ({called})"
    if input_name is None:
        message = recorded("node", node=where, why=what)
    else:
        message = recorded("input_of_node", node=where, input=input_name, why=what)
    return NodeProblem(kind=kind, node_id=node_id, input_name=input_name, message=message)


def _unwrapped(value: Json) -> Json:
    """Return a value without the wrapping that keeps a list from being taken for a wire."""
    return value["__value__"] if isinstance(value, dict) and "__value__" in value else value


def _not_offered(chosen: Json, options: Sequence[Json]) -> str:
    if not options:
        return recorded("nothing_offered", value=repr(chosen))
    if len(options) > 8:  # noqa: PLR2004 - more do not help a reader
        return recorded("not_among_many", value=repr(chosen), count=len(options))
    return recorded("not_offered", value=repr(chosen), options=options)
