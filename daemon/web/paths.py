"""Which endpoint a request is for: the visible list as a tree, one step for each part of a path."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from daemon.web.endpoint import Endpoint
from daemon.web.refusal import Refusal

#: The endpoint, and the ids that stand in the path, by their names.
Found: TypeAlias = tuple[Endpoint, Mapping[str, str]]


class _Place:
    """What begins with the same parts."""

    def __init__(self) -> None:
        self.named: dict[str, _Place] = {}  # by the next part
        self.by_id: _Place | None = None  # where the next part is an id
        self.endpoints: dict[str, Endpoint] = {}  # that end here, by method
        self.ids: Sequence[str] = ()  # the names of the ids on the way here


class Paths:
    """Finds endpoints by method and path; aiohttp's own routes cost four times as much."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._root = _Place()
        for endpoint in endpoints:
            place, ids = self._root, []
            for part in endpoint.path.split("/"):
                if part.startswith("{"):
                    ids.append(part.strip("{}"))
                    place.by_id = place = place.by_id or _Place()
                else:
                    place = place.named.setdefault(part, _Place())
            place.endpoints[endpoint.method] = endpoint
            place.ids = ids

    def find(self, method: str, path: str) -> Found:
        """Return what *method* and *path*, in which only %2F and %25 are quoted, are for.

        Raises Refusal: 404 when nothing is there, 405 when it is for other methods.
        """
        place: _Place | None = self._root
        values: list[str] = []
        for part in path.split("/"):
            if (named := place.named.get(part)) is not None:
                place = named
            elif (place := place.by_id) is not None:
                values.append(part.replace("%2F", "/").replace("%25", "%") if "%" in part else part)
            else:
                break
        if place is None or not place.endpoints:
            raise Refusal("unknown_path", 404, path=path[:200])
        if (endpoint := place.endpoints.get(method)) is None:
            allowed = ", ".join(sorted(place.endpoints))
            raise Refusal(
                "wrong_method",
                405,
                headers={"Allow": allowed},
                path=path,
                method=method,
                allowed=allowed,
            )
        return endpoint, dict(zip(place.ids, values, strict=True))
