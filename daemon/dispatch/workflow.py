"""A workflow template: an "Export (API)" file with the settings' mapping, ready to be filled."""

import hashlib
import random
from collections.abc import Mapping

import msgspec
import orjson

from config.faults import fault, unreadable
from config.settings import OutputNode, Workflow
from daemon.comfy.server import Graph, Json
from daemon.dispatch import nodes
from daemon.dispatch.templates import (
    Problem,
    Target,
    TemplateError,
    class_of,
    find_node,
    find_target,
    inputs_of,
    parse,
    settings_key,
    title_of,
)
from daemon.dispatch.values import converted, is_blank
from daemon.settle.results import ResultNode, file_stem

#: The column that gets a new random number per attempt unless the row gives one.
SEED_COLUMN = "seed"


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template of which everything the settings name was found."""

    workflow_type: str
    sha256: str  # of the file's bytes
    source: bytes
    targets: dict[str, Target]
    own_values: dict[str, Json]  # column -> what the template has where the row gives nothing
    picture_columns: frozenset[str]  # mapped to an input whose picture is uploaded first
    result_nodes: tuple[ResultNode, ...]

    @classmethod
    def load(cls, workflow_type: str, settings: Workflow) -> "Template":
        """Read the template file (blocking); raises TemplateError with all problems at once."""
        key = settings_key("workflows", workflow_type, "template")
        try:
            source = settings.template.read_bytes()
        except OSError as error:
            path = str(settings.template)
            what = fault("template_unreadable", path=path, why=unreadable(error))
            raise TemplateError([Problem(key, what, fault("mend_path"))]) from None
        return cls.from_bytes(workflow_type, settings, source)

    @classmethod
    def from_bytes(cls, workflow_type: str, settings: Workflow, source: bytes) -> "Template":
        """Return the template in *source*; raises TemplateError with all problems at once."""
        graph = parse(source, settings_key("workflows", workflow_type, "template"))
        targets, problems = _find_targets(graph, workflow_type, settings.inputs)
        results, more = _find_results(graph, workflow_type, settings.outputs)
        if problems or more:
            raise TemplateError([*problems, *more])
        return cls(
            workflow_type=workflow_type,
            sha256=hashlib.sha256(source).hexdigest(),
            source=source,
            targets=targets,
            own_values={
                column: inputs_of(graph[target.node_id])[target.input_name]
                for column, target in targets.items()
            },
            picture_columns=frozenset(
                column
                for column, target in targets.items()
                if nodes.loads_picture(class_of(graph[target.node_id]), target.input_name)
            ),
            result_nodes=results,
        )

    @property
    def columns(self) -> frozenset[str]:
        """The columns of a row that go into the graph."""
        return frozenset(self.targets)

    def parameters_for(self, row: Mapping[str, Json], rng: random.Random) -> dict[str, Json]:
        """Return what *row* fills into this template, with a new seed unless the row gives one.

        Pictures are left out: their parameter is the name the server gave to the upload.
        """
        parameters = self.values_of(row)
        if SEED_COLUMN in self.targets and SEED_COLUMN not in parameters:
            parameters[SEED_COLUMN] = draw_seed(rng)
        return parameters

    def values_of(self, row: Mapping[str, Json]) -> dict[str, Json]:
        """Return what *row* itself says for this template, pictures left out."""
        return {
            column: row[column]
            for column in self.targets
            if column not in self.picture_columns and not is_blank(row.get(column))
        }

    def check_values(self, row: Mapping[str, Json]) -> None:
        """Raise BadValue when a value of *row* does not fit its input."""
        for column, target in self.targets.items():
            if not is_blank(row.get(column)):
                converted(column, row[column], self.own_values[column], target.input_name)

    def filled_inputs(self, graph: Graph) -> set[tuple[str, str]]:
        """Return node id and name of each input that differs between the graphs it makes."""
        targets = {(target.node_id, target.input_name) for target in self.targets.values()}
        return targets | {
            (node_id, nodes.PREFIX_INPUT)
            for node_id, node in graph.items()
            if nodes.PREFIX_INPUT in inputs_of(node)
        }

    def fill(self, parameters: Mapping[str, Json], *, output_prefix: str) -> Graph:
        """Return the graph for one attempt; the same arguments give byte-identical graphs.

        Unmapped parameters are ignored, blank ones leave the template's own value. Every node
        that saves does so under *output_prefix*. Raises BadValue for a value that does not fit.
        """
        graph = parse(self.source, self.workflow_type)
        for column, target in self.targets.items():
            value = parameters.get(column)
            if not is_blank(value):
                inputs_of(graph[target.node_id])[target.input_name] = converted(
                    column, value, self.own_values[column], target.input_name
                )
        for node_id, node in graph.items():
            inputs = inputs_of(node)
            if nodes.PREFIX_INPUT in inputs or nodes.saves_files(class_of(node), inputs):
                inputs[nodes.PREFIX_INPUT] = f"{output_prefix}/{file_stem(node_id)}"
        return graph


def load_templates(workflows: Mapping[str, Workflow]) -> dict[str, Template]:
    """Read all templates (blocking); raises TemplateError with every problem of every one."""
    templates: dict[str, Template] = {}
    problems: list[Problem] = []
    for workflow_type, settings in workflows.items():
        try:
            templates[workflow_type] = Template.load(workflow_type, settings)
        except TemplateError as error:
            problems += error.problems
    if problems:
        raise TemplateError(problems)
    return templates


def encode(graph: Graph) -> bytes:
    """Return the graph's bytes, in the order of the template."""
    return orjson.dumps(graph)


def graph_sha256(graph: Graph) -> str:
    """Return the hash by which two graphs are known to be the same."""
    return hashlib.sha256(encode(graph)).hexdigest()


def draw_seed(rng: random.Random) -> int:
    """Return a new seed; below 2^53, so that every JSON reader keeps all its digits."""
    return rng.randrange(2**53)


def _find_targets(
    graph: Graph, workflow_type: str, mapping: Mapping[str, str]
) -> tuple[dict[str, Target], list[Problem]]:
    targets: dict[str, Target] = {}
    problems: list[Problem] = []
    for column, text in mapping.items():
        key = settings_key("workflows", workflow_type, "inputs", column)
        target = find_target(graph, text, key)
        if isinstance(target, Target) and target.input_name == nodes.PREFIX_INPUT:
            what = fault("template_prefix", name=nodes.PREFIX_INPUT)
            target = Problem(key, what, fault("mend_prefix"))
        if isinstance(target, Target) and target in targets.values():
            what = fault("template_filled_twice", text=repr(text))
            target = Problem(key, what, fault("mend_remove"))
        if isinstance(target, Problem):
            problems.append(target)
        else:
            targets[column] = target
    return targets, problems


def _find_results(
    graph: Graph, workflow_type: str, mapping: Mapping[str, str | OutputNode]
) -> tuple[tuple[ResultNode, ...], list[Problem]]:
    if not mapping:
        return _all_results(graph, workflow_type)
    results: dict[str, ResultNode] = {}
    problems: list[Problem] = []
    for name, wanted in mapping.items():
        key = settings_key("workflows", workflow_type, "outputs", name)
        output = wanted if isinstance(wanted, OutputNode) else OutputNode(node=wanted)
        node_id = find_node(graph, output.node, key)
        if isinstance(node_id, str):
            node_id = _unfit(graph, node_id, output, key, taken=node_id in results) or node_id
        if isinstance(node_id, Problem):
            problems.append(node_id)
        else:
            results[node_id] = _result(graph, node_id, output.count)
    return tuple(results.values()), problems


def _all_results(graph: Graph, workflow_type: str) -> tuple[tuple[ResultNode, ...], list[Problem]]:
    """Return every node that saves, for settings that map no outputs."""
    found = tuple(
        _result(graph, node_id, 1)
        for node_id, node in graph.items()
        if nodes.saves_files(class_of(node), inputs_of(node))
    )
    if found:
        return found, []
    key = settings_key("workflows", workflow_type, "outputs")
    return (), [Problem(key, fault("template_no_result"), fault("mend_save"))]


def _unfit(
    graph: Graph, node_id: str, output: OutputNode, key: str, *, taken: bool
) -> Problem | None:
    """Return why the node cannot be a result, or None."""
    class_type = class_of(graph[node_id])
    if nodes.is_temporary(class_type):
        what = fault("template_temporary", node=node_id, class_type=class_type)
        return Problem(key, what, fault("mend_temporary"))
    if output.count < 1:
        what = fault("template_count", count=str(output.count))
        return Problem(key, what, fault("mend_count"))
    if taken:
        return Problem(key, fault("template_named_twice", node=node_id), fault("mend_remove"))
    return None


def _result(graph: Graph, node_id: str, count: int) -> ResultNode:
    node = graph[node_id]
    return ResultNode(
        node_id=node_id,
        class_type=class_of(node),
        title=title_of(node) or "",
        count=count,
    )
