"""Results of nodes, kept over prompts by what went into them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import orjson

from daemon.comfy.server import Graph, Json
from daemon.comfy.simulator.folders import input_path
from daemon.comfy.simulator.prompt import class_name, inputs, link
from daemon.comfy.simulator.values import Result, Video

#: Above this many bytes of pictures the oldest results go.
_LIMIT_BYTES = 256 * 2**20


class ResultCache:
    """Node results by key. The older generation keeps only those of the prompt before.

    The key of a node holds its class, its inputs and the keys of all it depends on, and for a
    LoadImage the picture's bytes; titles and ids are no part of it.
    """

    def __init__(self, folder: Path, *, keeps_all: bool) -> None:
        self._folder, self._keeps_all = folder, keeps_all
        self._results: dict[str, Result] = {}
        self._bytes = 0

    def keys(self, graph: Graph) -> dict[str, str]:
        """Return the key of every node. Reads input pictures; call it in the worker thread."""
        keys: dict[str, str] = {}

        def key(node_id: str) -> str:
            if node_id not in keys:
                keys[node_id] = ""  # a circle ends here; running_order reports it
                parts: list[Json] = [class_name(graph, node_id)]
                for name, value in sorted(inputs(graph, node_id).items()):
                    source = link(value)
                    linked = source is not None and source[0] in graph
                    plain: Json = [key(source[0]), source[1]] if source and linked else [value]
                    parts.append([name, plain])
                if parts[0] == "LoadImage":
                    parts.append(self._file_digest(inputs(graph, node_id).get("image")))
                keys[node_id] = hashlib.sha256(orjson.dumps(parts)).hexdigest()
            return keys[node_id]

        for node_id in graph:
            key(node_id)
        return keys

    def begin(self, keys: dict[str, str]) -> None:
        """Start a prompt with these node keys: the older generation drops all others."""
        if not self._keeps_all:
            kept = {k: r for k, r in self._results.items() if k in keys.values()}
            self._results = kept
            self._bytes = sum(_size_bytes(result) for result in kept.values())

    def get(self, key: str) -> Result | None:
        """Return the result under *key*; it counts as used now."""
        result = self._results.pop(key, None)
        if result is not None:
            self._results[key] = result
        return result

    def put(self, key: str, result: Result) -> None:
        """Keep a result; the longest unused ones go when there is too much."""
        if (replaced := self._results.pop(key, None)) is not None:
            self._bytes -= _size_bytes(replaced)
        self._results[key] = result
        self._bytes += _size_bytes(result)
        while self._bytes > _LIMIT_BYTES and len(self._results) > 1:
            oldest = next(iter(self._results))
            self._bytes -= _size_bytes(self._results.pop(oldest))

    def clear(self) -> None:
        """Forget everything (``POST /free`` with ``free_memory``)."""
        self._results.clear()
        self._bytes = 0

    def _file_digest(self, name: Json) -> str:
        try:
            return hashlib.sha256(input_path(self._folder, str(name)).read_bytes()).hexdigest()
        except (OSError, ValueError):
            return "unreadable"


def _size_bytes(result: Result) -> int:
    """Return about how much memory a result holds; repeated pictures count once."""

    def images() -> Iterator[tuple[int, int]]:
        for value in result.values:
            frames = value.frames if isinstance(value, Video) else value
            if isinstance(frames, tuple):
                for frame in frames:
                    yield id(frame), frame.width * frame.height * len(frame.getbands())

    return 1000 + sum(dict(images()).values())
