"""What flows along the links of a graph, and what a node is given and gives back."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec
from PIL import Image

from daemon.comfy.server import Graph, Json

#: A batch of pictures of one size, mode RGB (type IMAGE) or L (type MASK).
Pictures: TypeAlias = tuple[Image.Image, ...]


class Video(msgspec.Struct, frozen=True):
    """Frames and how many of them a second (type VIDEO)."""

    frames: Pictures
    frames_per_second: float


Value: TypeAlias = "Pictures | Video | str | int | float | bool"


class Killed(BaseException):
    """The simulated server died here: nothing after this point happens."""


class Bench:
    """Where a node works: its folder, its graph, and whether the server still lives.

    Used by the worker thread; ``dead`` is set by the event loop.
    """

    def __init__(self, folder: Path, graph: Graph) -> None:
        self.folder = folder
        self.graph = graph
        self.dead = False
        self.dies_while_writing = False

    def write(self, path: Path, content: bytes) -> None:
        """Write a result file as the real server does: in place, under its final name.

        Raises Killed when the server died meanwhile; then the file is absent, or half there if
        the fault ``half_written_output`` was ordered.
        """
        if self.dead:
            raise Killed
        if self.dies_while_writing:
            path.write_bytes(content[: len(content) // 2])
            raise Killed
        path.write_bytes(content)


class Result(msgspec.Struct, frozen=True):
    """What a node gave: a value per output, and its report for ``outputs`` of the history."""

    values: tuple[Value, ...] = ()
    report: dict[str, Json] | None = None


Work: TypeAlias = Callable[[Bench, Mapping[str, Value]], Result]
