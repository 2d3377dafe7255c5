"""The node classes the simulator knows: their inputs and outputs as ``/object_info`` tells them."""

from collections.abc import Mapping

import msgspec

from daemon.comfy.server import Json
from daemon.comfy.simulator.values import Work


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One input of a node; *options* are its limits and default as ComfyUI writes them."""

    kind: str  # IMAGE, INT, … ; COMBO when there are choices
    options: dict[str, Json] = {}
    choices: tuple[str, ...] | None = None
    optional: bool = False

    def declared(self, *, new_schema: bool) -> list[Json]:
        """Return the field as the old schema writes it, or as the new one does."""
        if self.choices is None:
            bare = not self.options and not new_schema
            return [self.kind] if bare else [self.kind, dict(self.options)]
        listed: list[Json] = list(self.choices)
        if new_schema:
            return ["COMBO", {**self.options, "multiselect": False, "options": listed}]
        return [listed, dict(self.options)] if self.options else [listed]


class NodeType(msgspec.Struct, frozen=True, kw_only=True):
    """A node class: what it takes, what it gives, and the function that does it."""

    name: str
    title: str | None  # None: the real one has none either
    work: Work
    fields: dict[str, Field]
    outputs: tuple[str, ...]
    output_names: tuple[str, ...] | None = None
    category: str = "image"
    module: str = "nodes"
    description: str = ""
    saves: bool = False  # an output node
    new_schema: bool = False
    essentials: str | None = None
    tooltips: tuple[str, ...] | None = None  # one per output; new schema only

    def described(self, *, modern: bool) -> dict[str, Json]:
        """Return the entry of ``/object_info``, with the keys of the generation and schema."""
        inputs: dict[str, Json] = {}
        order: dict[str, Json] = {}
        for group, optional in (("required", False), ("optional", True)):
            members = {n: f for n, f in self.fields.items() if f.optional is optional}
            if members:
                inputs[group] = {
                    n: f.declared(new_schema=self.new_schema) for n, f in members.items()
                }
                order[group] = list(members)
        if self.saves:
            wrap = (lambda kind: [kind]) if self.new_schema else (lambda kind: kind)
            inputs["hidden"] = {
                "prompt": wrap("PROMPT"),
                "extra_pnginfo": wrap("EXTRA_PNGINFO"),
            }
            order["hidden"] = ["prompt", "extra_pnginfo"]
        count = len(self.outputs)
        about: dict[str, Json] = {
            "input": inputs,
            "input_order": order,
            "output": list(self.outputs),
            "output_is_list": [False] * count,
            "output_name": list(self.output_names or self.outputs),
            "name": self.name,
            "display_name": self.title,
            "description": self.description,
            "python_module": self.module,
            "category": self.category,
            "output_node": self.saves,
        }
        return about | self._schema_keys(count) | (self._modern_keys() if modern else {})

    def _schema_keys(self, count: int) -> dict[str, Json]:
        if not self.new_schema:
            return {}
        tooltips: list[Json] = [None] * count
        return {
            "output_tooltips": [*self.tooltips] if self.tooltips else tooltips,
            "deprecated": False,
            "experimental": False,
            "api_node": False,
        }

    def _modern_keys(self) -> dict[str, Json]:
        words: list[Json] = [(self.title or self.name).lower()]
        keys: dict[str, Json] = {
            "is_input_list": False,
            "has_intermediate_output": False,
            "search_aliases": words,
        }
        if self.new_schema:
            keys |= {"output_matchtypes": None, "dev_only": False, "price_badge": None}
        if self.essentials is not None or self.new_schema:
            keys["essentials_category"] = self.essentials
        return keys


NodeTypes = Mapping[str, NodeType]
