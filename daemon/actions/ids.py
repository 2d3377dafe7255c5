"""Ids for several new tasks at once."""

from collections import Counter
from collections.abc import Iterator, Sequence

from daemon.actions.plan import View


def new_ids(view: View, workflow_types: Sequence[str], at: str) -> Iterator[str]:
    """Return an id never given before for each task of these types, in their order."""
    ids = {
        name: iter(view.new_task_ids(name, at, count))
        for name, count in Counter(workflow_types).items()
    }
    return (next(ids[name]) for name in workflow_types)
