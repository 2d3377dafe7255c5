"""What the server says to a graph before it queues it; pure but for looking at the input folder."""

from pathlib import Path

import msgspec

from daemon.comfy.server import Graph, Json
from daemon.comfy.simulator.folders import input_path
from daemon.comfy.simulator.generation import Generation
from daemon.comfy.simulator.nodetypes import Field, NodeType, NodeTypes
from daemon.comfy.simulator.prompt import inputs, link, running_order

_WIDGETS = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """The outputs that may run; *error* is set when none of them may."""

    outputs: tuple[str, ...] = ()
    error: dict[str, Json] | None = None
    node_errors: dict[str, Json] = {}


class _Stumbled(Exception):
    """The real validation breaks at this node's links; told where it is caught."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Validator:
    """Checks graphs against the node classes of one generation."""

    def __init__(self, generation: Generation, types: NodeTypes, folder: Path) -> None:
        self._generation, self._types, self._folder = generation, types, folder

    def check(self, graph: Graph) -> Validation:
        """Return what may run; converts widget values in *graph* in place, as the real one does."""
        for node_id, node in graph.items():
            class_name = node.get("class_type")
            if not isinstance(class_name, str) or class_name not in self._types:
                return Validation(error=self._unknown(node_id, node, class_name))
        wanted = [n for n, node in graph.items() if self._types[str(node["class_type"])].saves]
        if not wanted:
            return Validation(error=_error("prompt_no_outputs", "Prompt has no outputs"))
        return self._validation(graph, wanted)

    def _validation(self, graph: Graph, wanted: list[str]) -> Validation:
        good: list[str] = []
        node_errors: dict[str, Json] = {}
        details: list[str] = []
        for output in wanted:
            found: dict[str, list[Json]] = {}
            try:
                if self._inspect(graph, output, found, set()):
                    good.append(output)
                    continue
            except _Stumbled as broken:
                found[output] = [
                    _error(
                        "exception_during_validation",
                        "Exception when validating node",
                        str(broken),
                        {"exception_type": broken.kind, "traceback": []},
                    )
                ]
            details += [_line(error) for error in found.get(output, [])]
            for node_id, errors in found.items():
                entry = node_errors.get(node_id)
                dependents = entry["dependent_outputs"] if isinstance(entry, dict) else []
                listed = dependents if isinstance(dependents, list) else []
                node_errors[node_id] = {
                    "errors": errors,
                    "dependent_outputs": [*listed, output],
                    "class_type": graph[node_id]["class_type"],
                }
        if good:
            try:
                running_order(graph, good, ())
            except ValueError as circle:
                return Validation(error=_error("exception_during_validation", str(circle)))
            return Validation(outputs=tuple(good), node_errors=node_errors)
        kind = "prompt_outputs_failed_validation"
        error = _error(kind, "Prompt outputs failed validation", "\n".join(details))
        return Validation(error=error, node_errors=node_errors)

    def _inspect(
        self, graph: Graph, node_id: str, found: dict[str, list[Json]], seen: set[str]
    ) -> bool:
        """Check a node and its sources; errors go to *found*. True when all is well."""
        if node_id in seen:
            return node_id not in found
        seen.add(node_id)
        node_type, given = self._types[str(graph[node_id]["class_type"])], inputs(graph, node_id)
        errors: list[Json] = []
        well = True
        for name, field in node_type.fields.items():
            if name not in given:
                if not field.optional:
                    errors.append(_missing(name))
                continue
            value = given[name]
            if isinstance(value, list):
                error = self._bad_link(graph, name, field, value, node_type)
                source = link(value)
                if error is None and source is not None:
                    about: dict[str, Json] = {
                        "input_name": name,
                        "input_config": _config(field, node_type),
                        "linked_node": value,
                    }
                    well = self._inspect_source(graph, source[0], about, found, seen) and well
            else:
                error = self._bad_value(given, name, field, node_type)
            if error is not None:
                errors.append(error)
        if errors:
            found[node_id] = errors
        return well and not errors

    def _inspect_source(
        self,
        graph: Graph,
        source: str,
        about: dict[str, Json],
        found: dict[str, list[Json]],
        seen: set[str],
    ) -> bool:
        """Check the node a link leads to; when that stumbles, the error is told of that node."""
        try:
            return self._inspect(graph, source, found, seen)
        except _Stumbled as broken:
            more = {
                **about,
                "exception_message": str(broken),
                "exception_type": broken.kind,
                "traceback": [],
            }
            found[source] = [
                _error(
                    "exception_during_inner_validation",
                    "Exception when validating inner node",
                    str(broken),
                    more,
                )
            ]
            return False

    def _bad_link(
        self, graph: Graph, name: str, field: Field, value: list[Json], node_type: NodeType
    ) -> Json:
        config = _config(field, node_type)
        about = {"input_name": name, "input_config": config}
        source = link(value)
        if source is None:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return _error("bad_linked_input", message, name, {**about, "received_value": value})
        if source[0] not in graph:
            raise _Stumbled("KeyError", repr(source[0]))
        outputs = self._types[str(graph[source[0]]["class_type"])].outputs
        if source[1] >= len(outputs):
            raise _Stumbled("IndexError", "tuple index out of range")
        received = outputs[source[1]]
        if received == field.kind:
            return None
        detail = f"{name}, received_type({received}) mismatch input_type({field.kind})"
        more = {**about, "received_type": received, "linked_node": value}
        message = "Return type mismatch between linked nodes"
        return _error("return_type_mismatch", message, detail, more)

    def _bad_value(
        self, given: dict[str, Json], name: str, field: Field, node_type: NodeType
    ) -> Json:
        if node_type.name == "LoadImage":
            return self._bad_file(name, given[name])
        about: dict[str, Json] = {"input_name": name, "input_config": _config(field, node_type)}
        if field.kind in _WIDGETS:
            try:
                given[name] = _WIDGETS[field.kind](given[name])
            except (TypeError, ValueError) as wrong:
                message = f"Failed to convert an input value to a {field.kind} value"
                more = {**about, "received_value": given[name], "exception_message": str(wrong)}
                return _error(
                    "invalid_input_type", message, f"{name}, {given[name]}, {wrong}", more
                )
        choices_count = self._generation.modern or not node_type.new_schema
        return _beyond_limits(name, given[name], field, about, choices_count=choices_count)

    def _bad_file(self, name: str, value: Json) -> Json:
        try:
            there = isinstance(value, str) and input_path(self._folder, value).is_file()
        except ValueError:
            there = False
        if there:
            return None
        detail = f"{name} - Invalid image file: {value}"
        message = "Custom validation failed for node"
        return _error("custom_validation_failed", message, detail, {"input_name": name})

    def _unknown(self, node_id: str, node: dict[str, Json], class_name: Json) -> dict[str, Json]:
        detail = f"Node ID '#{node_id}'"
        if not self._generation.modern:
            message = f"Cannot execute because node {class_name} does not exist."
            if class_name is None:
                message = "Cannot execute because a node is missing the class_type property."
            return _error("invalid_prompt", message, detail)
        meta = node.get("_meta")
        title = meta.get("title") if isinstance(meta, dict) else None
        title = title or class_name or f"Node ID #{node_id}"
        message = f"Node '{title}' not found. The custom node may not be installed."
        if class_name is None:
            message = f"Node '{title}' has no class_type."
        more = {"node_id": node_id, "class_type": class_name, "node_title": title}
        return _error("missing_node_type", message, detail, more)


def _beyond_limits(
    name: str, value: Json, field: Field, about: dict[str, Json], *, choices_count: bool
) -> Json:
    """Check limits and choices; the older generation overlooks the choices of the new schema."""
    more = {**about, "received_value": value}
    if choices_count and field.choices is not None and value not in field.choices:
        detail = f"{name}: '{value}' not in {list(field.choices)}"
        return _error("value_not_in_list", "Value not in list", detail, more)
    if not isinstance(value, int | float):
        return None
    least, most = field.options.get("min"), field.options.get("max")
    if isinstance(least, int | float) and value < least:
        message = f"Value {value} smaller than min of {least}"
        return _error("value_smaller_than_min", message, name, more)
    if isinstance(most, int | float) and value > most:
        message = f"Value {value} bigger than max of {most}"
        return _error("value_bigger_than_max", message, name, more)
    return None


def _missing(name: str) -> dict[str, Json]:
    message = "Required input is missing"
    return _error("required_input_missing", message, name, {"input_name": name})


def _config(field: Field, node_type: NodeType) -> Json:
    declared = field.declared(new_schema=node_type.new_schema)
    return declared if len(declared) > 1 else [*declared, {}]


def _line(error: Json) -> str:
    return f"{error['message']}: {error['details']}" if isinstance(error, dict) else ""


def _error(
    kind: str, message: str, details: str = "", more: dict[str, Json] | None = None
) -> dict[str, Json]:
    return {"type": kind, "message": message, "details": details, "extra_info": more or {}}
