"""A server's ``/object_info``, decoded class by class.

Decoded whole, that of a server with many custom nodes holds the loop for 100 ms and more.
"""

from collections.abc import Iterator, Mapping
from typing import cast

import msgspec
from msgspec import Raw

from daemon.comfy.server import Json


class NodeClasses(Mapping[str, Json]):
    """Class name -> description; reads like a dict, decodes what is asked for.

    Once: each row asks for the same classes, and one may list thousands of models.
    """

    def __init__(self, described: dict[str, Raw]) -> None:
        self._described = described
        self._decoded: dict[str, Json] = {}

    def __getitem__(self, name: str) -> Json:
        if name not in self._decoded:
            self._decoded[name] = cast("Json", msgspec.json.decode(self._described[name]))
        return self._decoded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._described)

    def __len__(self) -> int:
        return len(self._described)

    def __contains__(self, name: object) -> bool:
        return name in self._described
