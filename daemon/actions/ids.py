"""Ids for several new tasks at once."""

from collections import Counter
from collections.abc import Iterator, Sequence

from daemon.actions.plan import View

#: So many are given together.
_AT_ONCE = 1000


def new_ids(view: View, workflow_types: Sequence[str], at: str) -> Iterator[str]:
    """Yield an id never given before for each task of these types, in their order."""
    for first in range(0, len(workflow_types), _AT_ONCE):
        some = workflow_types[first : first + _AT_ONCE]
        ids = {
            name: iter(view.new_task_ids(name, at, count)) for name, count in Counter(some).items()
        }
        yield from (next(ids[name]) for name in some)
