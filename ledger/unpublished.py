"""The tasks that a table has to be told of."""

from ledger.shelf import Indexed


class Unpublished:
    """Their ids by table, those due longest first."""

    def __init__(self) -> None:
        self._by_table: dict[str, dict[str, None]] = {}

    def note(self, task: Indexed) -> None:
        """Take in a task, or its next version."""
        if (row := task.metadata.table_row) is None:
            return
        if task.publish.is_settled:
            self._by_table.get(row.table, {}).pop(task.task_id, None)
        else:
            self._by_table.setdefault(row.table, {})[task.task_id] = None

    def forget(self, task: Indexed) -> None:
        """Let go of a task that is archived; it was told since this version."""
        if (row := task.metadata.table_row) is not None:
            self._by_table.get(row.table, {}).pop(task.task_id, None)

    def of(self, table: str) -> list[str]:
        """Return those of *table*."""
        return list(self._by_table.get(table, ()))
