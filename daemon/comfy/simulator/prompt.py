"""A prompt inside the simulated server, and the order in which its nodes run."""

from collections.abc import Collection, Iterator

import msgspec

from daemon.comfy.server import Graph, Json


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What was queued; ``extra_data`` comes back as it was given, beside the client id."""

    number: float
    prompt_id: str
    graph: Graph
    extra_data: dict[str, Json]
    outputs: tuple[str, ...]

    def listed(self) -> list[Json]:
        """Return it as ``/queue`` and ``/history`` write it."""
        whole = int(self.number) if self.number == int(self.number) else self.number
        graph: Json = dict(self.graph)
        return [whole, self.prompt_id, graph, self.extra_data, list(self.outputs)]

    @property
    def client_id(self) -> str | None:
        """The socket that gets its execution events."""
        client_id = self.extra_data.get("client_id")
        return client_id if isinstance(client_id, str) else None

    @property
    def task(self) -> tuple[str | None, int | None]:
        """The task and attempt that rowkeeper wrote into ``extra_data``, if it did."""
        mark = self.extra_data.get("rowkeeper")
        if not isinstance(mark, dict):
            return None, None
        task_id, attempt = mark.get("task_id"), mark.get("attempt")
        return (
            task_id if isinstance(task_id, str) else None,
            attempt if isinstance(attempt, int) else None,
        )

    @property
    def targets(self) -> tuple[str, ...]:
        """What a fault can be aimed at: the task, the prompt, and the input files by name."""
        files = [
            name
            for node_id, class_name in self._classes()
            if class_name == "LoadImage"
            and isinstance(name := inputs(self.graph, node_id).get("image"), str)
        ]
        task_id, _ = self.task
        return (*([task_id] if task_id else []), self.prompt_id, *files)

    def _classes(self) -> Iterator[tuple[str, Json]]:
        for node_id, node in self.graph.items():
            yield node_id, node.get("class_type")


def inputs(graph: Graph, node_id: str) -> dict[str, Json]:
    """Return the inputs of a node; a missing or malformed map counts as empty."""
    found = graph[node_id].get("inputs")
    return found if isinstance(found, dict) else {}


def class_name(graph: Graph, node_id: str) -> str:
    """Return the node's class; validation has seen that it has one."""
    return str(graph[node_id]["class_type"])


def link(value: Json) -> tuple[str, int] | None:
    """Return node id and slot when *value* is a link to another node's output."""
    if isinstance(value, list) and len(value) == 2:  # noqa: PLR2004 - a link is a pair
        source, slot = value
        if isinstance(source, str) and isinstance(slot, int):
            return source, slot
    return None


def sources(graph: Graph, node_id: str) -> list[str]:
    """Return the nodes this node takes its inputs from."""
    links = (link(value) for value in inputs(graph, node_id).values())
    return [found[0] for found in links if found is not None]


def running_order(graph: Graph, outputs: Collection[str], done: Collection[str]) -> list[str]:
    """Return what must run for *outputs*, sources first, leaving out what is *done*.

    An output that is done is still named, at its place: its report is sent again. Raises
    ValueError for a circle.
    """
    order: list[str] = []
    open_nodes: set[str] = set()

    def visit(node_id: str) -> None:
        if node_id in order or node_id in done:
            return
        if node_id in open_nodes:
            raise ValueError(f"the graph has a circle through node {node_id}")
        open_nodes.add(node_id)
        for source in sources(graph, node_id):
            visit(source)
        order.append(node_id)

    for output in outputs:
        if output in done:
            order.append(output)
        else:
            visit(output)
    return order
