"""What is known about ComfyUI's own node classes without asking a server."""

import re
from collections.abc import Mapping

from daemon.comfy.server import Json
from daemon.settle.results import KNOWN_EXTENSIONS

#: Nodes whose files lie in the temporary folder, which ComfyUI empties when it starts.
TEMPORARY: frozenset[str] = frozenset({"PreviewImage", "PreviewAudio", "MaskPreview"})

#: The input by which a node is told where to save.
PREFIX_INPUT = "filename_prefix"

_PICTURE_LOADER = re.compile(r"(loadimage|loadimagemask|imageloader)$")


def is_temporary(class_type: str) -> bool:
    """Say whether the node's files are gone after a restart of the server."""
    return class_type in TEMPORARY


def saves_files(class_type: str, inputs: Mapping[str, Json]) -> bool:
    """Say whether the node makes files that are results."""
    return class_type in KNOWN_EXTENSIONS or (
        PREFIX_INPUT in inputs and not is_temporary(class_type)
    )


def loads_picture(class_type: str, input_name: str) -> bool:
    """Say whether the input names a picture in the server's input folder."""
    plain = re.sub(r"[^a-z0-9]", "", class_type.lower())
    return input_name == "image" and _PICTURE_LOADER.search(plain) is not None
