"""What a server's ``/object_info`` says of a node class, in one form for all its notations."""

from collections.abc import Iterator
from typing import cast

import msgspec

from daemon.comfy.server import Json


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """An input as its node class declares it; None = nothing is said about it."""

    name: str
    type: str  # "INT", "FLOAT", "STRING", "IMAGE", ..., "COMBO" for every kind of choice
    required: bool
    options: list[Json] | None = None
    is_custom: bool = False  # its node is not one of ComfyUI's own
    is_multiple: bool = False
    is_upload: bool = False  # a file that is put on the server before the graph runs
    minimum: float | None = None
    maximum: float | None = None


def is_output_class(description: Json) -> bool:
    """Say whether the class ends a graph; a server that does not say it is believed to mean yes."""
    return not isinstance(description, dict) or bool(description.get("output_node", True))


def declared_inputs(description: Json) -> Iterator[Declared]:
    """Yield the required and optional inputs of a class; what is not understood is left out."""
    if not isinstance(description, dict) or not isinstance(description.get("input"), dict):
        return
    groups = cast("dict[str, Json]", description["input"])
    is_custom = str(description.get("python_module", "")).startswith("custom_nodes")
    for group in ("required", "optional"):
        members = groups.get(group)
        for name, notation in (members if isinstance(members, dict) else {}).items():
            if isinstance(notation, list) and notation:
                found = _declared(name, notation, required=group == "required")
                yield msgspec.structs.replace(found, is_custom=is_custom)


def _declared(name: str, notation: list[Json], *, required: bool) -> Declared:
    """Return one input from ``[type or choices, details]``."""
    kind = notation[0]
    details = notation[1] if len(notation) > 1 else None
    details = details if isinstance(details, dict) else {}
    return Declared(
        name=name,
        type=kind if isinstance(kind, str) else "COMBO",
        required=required,
        options=_options(kind, details),
        is_multiple=bool(details.get("multiselect")),
        is_upload=any(
            details.get(f"{what}_upload") for what in ("image", "video", "audio", "file")
        ),
        minimum=_bound(details.get("min")),
        maximum=_bound(details.get("max")),
    )


def _options(kind: Json, details: dict[str, Json]) -> list[Json] | None:
    """Return the choices of all three notations, or None where the server asks elsewhere."""
    if "remote" in details:
        return None
    if isinstance(kind, list):
        return kind
    options = details.get("options")
    if not isinstance(options, list):
        return None
    if kind == "COMBO":
        return options
    if kind == "COMFY_DYNAMICCOMBO_V3":  # each choice brings inputs of its own
        return [option.get("key") if isinstance(option, dict) else option for option in options]
    return None


def _bound(value: Json) -> float | None:
    return value if isinstance(value, int | float) else None
