"""A server's ``/object_info``, decoded class by class.

Decoded whole, that of a server with many custom nodes holds the loop for 100 ms and more.
"""

from collections.abc import Iterator, Mapping
from typing import cast

import msgspec
from msgspec import Raw

from daemon.comfy.server import Json


class NodeClasses(Mapping[str, Json]):
    """Class name -> description; reads like a dict, decodes what is asked for."""

    def __init__(self, described: dict[str, Raw]) -> None:
        self._described = described

    def __getitem__(self, name: str) -> Json:
        return cast("Json", msgspec.json.decode(self._described[name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._described)

    def __len__(self) -> int:
        return len(self._described)

    def __contains__(self, name: object) -> bool:
        return name in self._described
