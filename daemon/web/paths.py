"""Which endpoint a request is for: the visible list as a tree, one step for each part of a path."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from daemon.web.endpoint import Endpoint
from daemon.web.refusal import Refusal

#: The endpoint, and the ids that stand in the path, by their names.
Found: TypeAlias = tuple[Endpoint, Mapping[str, str]]


class _Place:
    """What begins with the same parts."""

    def __init__(self, id_name: str = "") -> None:
        self.id_name = id_name  # of the id that leads here
        self.named: dict[str, _Place] = {}  # by the next part
        self.by_id: _Place | None = None  # where the next part is an id
        self.endpoints: dict[str, Endpoint] = {}  # that end here, by method


class Paths:
    """Finds endpoints by method and path; aiohttp's own routes cost four times as much.

    An id bears the same name in all paths that begin alike.
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._root = _Place()
        for endpoint in endpoints:
            place = self._root
            for part in endpoint.path.split("/"):
                if part.startswith("{"):
                    place.by_id = place = place.by_id or _Place(part.strip("{}"))
                else:
                    place = place.named.setdefault(part, _Place())
            place.endpoints |= dict.fromkeys(endpoint.methods, endpoint)

    def find(self, method: str, path: str) -> Found:
        """Return what *method* and *path*, in which only %2F and %25 are quoted, are for.

        Raises Refusal: 404 when nothing is there, 405 when it is for other methods.
        """
        place, ids = self._root, dict[str, str]()
        for part in path.split("/"):
            if (named := place.named.get(part)) is not None:
                place = named
            elif place.by_id is not None:
                place = place.by_id
                ids[place.id_name] = part
            else:
                raise _unknown(path)
        if (endpoint := place.endpoints.get(method)) is None:
            raise (
                _wrong_method(method, path, place.endpoints) if place.endpoints else _unknown(path)
            )
        if "%" in path:
            ids = {name: _unquoted(part) for name, part in ids.items()}
        return endpoint, ids


def _unquoted(part: str) -> str:
    return part.replace("%2F", "/").replace("%25", "%")


def _unknown(path: str) -> Refusal:
    return Refusal("unknown_path", 404, path=path[:200])


def _wrong_method(method: str, path: str, endpoints: Iterable[str]) -> Refusal:
    allowed = ", ".join(sorted(endpoints))
    headers = {"Allow": allowed}
    return Refusal("wrong_method", 405, headers=headers, path=path, method=method, allowed=allowed)
