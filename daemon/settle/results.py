"""What a workflow's result nodes leave in the server's output folder."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

#: Core nodes whose file names are known: ``<prefix>_00001_<extension>`` (ComfyUI's
#: ``folder_paths.get_save_image_path``; seen in the recordings). SaveVideo writes mp4 for its
#: formats "auto" and "mp4".
KNOWN_EXTENSIONS: dict[str, str] = {
    "SaveImage": ".png",
    "SaveAnimatedPNG": ".png",
    "SaveAnimatedWEBP": ".webp",
    "SaveVideo": ".mp4",
    "SaveWEBM": ".webm",
}


class ResultNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node whose files are the result of a workflow."""

    node_id: str
    class_type: str
    title: str
    count: int = 1  # files it makes in one run

    def prefix(self, output_prefix: str) -> str:
        """Return its ``filename_prefix`` within an attempt's folder."""
        return f"{output_prefix}/{file_stem(self.node_id)}"

    def filename(self, number: int) -> str | None:
        """Return the name of its *number*-th file (from 1), or None for an unknown naming."""
        extension = KNOWN_EXTENSIONS.get(self.class_type)
        return None if extension is None else f"{file_stem(self.node_id)}_{number:05}_{extension}"

    def made(self, maker: str) -> bool:
        """Say whether the node with the id *maker* is this one, or one that it expanded into.

        Those are named after it by ComfyUI's ``GraphBuilder``: ``40.0.0.1``.
        """
        return maker == self.node_id or maker.startswith(f"{self.node_id}.")


class Miscount(msgspec.Struct, frozen=True):
    """A result node that made another number of files than the settings say."""

    node_id: str
    expected: int
    found: int


def miscounts(results: Sequence[ResultNode], makers: Iterable[str]) -> list[Miscount]:
    """Return the result nodes whose number of files is wrong; *makers*: the node of each file."""
    found = Counter(makers)
    counts = [(node, sum(found[maker] for maker in found if node.made(maker))) for node in results]
    return [
        Miscount(node.node_id, node.count, count) for node, count in counts if count != node.count
    ]


def file_stem(node_id: str) -> str:
    """Return *node_id* as it stands in file names: ``12:3`` (a subgraph's node) → ``12-3``."""
    return re.sub(r"[^0-9A-Za-z]", "-", node_id)
