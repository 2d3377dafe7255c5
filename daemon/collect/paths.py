"""Where results go: the names that tasks have chosen, so that no two choose the same."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from daemon.collect.naming import output_path, with_suffix
from ledger.entry import Transaction
from ledger.ledger import Ledger
from ledger.status import MOVES, Stage
from ledger.task import Task


class OutputFolder(msgspec.Struct, frozen=True, kw_only=True):
    """Where results go and how records name them."""

    path: Path  # absolute
    state_dir: Path  # absolute; paths in records are relative to it when inside
    name: str  # template, see ``naming``

    def recorded(self, path: Path) -> str:
        """Return *path* as records write it."""
        return (
            path.relative_to(self.state_dir).as_posix()
            if path.is_relative_to(self.state_dir)
            else str(path)
        )

    def absolute(self, recorded: str) -> Path:
        """Return where a recorded path lies."""
        return self.state_dir / recorded


class OutputPaths:
    """Chooses a path for each output; held for its task until that leaves ``collecting``.

    By then the file is in its place, where the next one looks before it takes the name.
    """

    def __init__(self, folder: OutputFolder, ledger: Ledger) -> None:
        self.folder = folder
        recorded = folder.recorded(folder.path)
        self._prefix = "" if recorded == "." else f"{recorded}/"
        self._holder: dict[str, str] = {}  # path -> task id
        self._held: dict[str, set[str]] = {}  # task id -> paths
        for task in ledger.in_stage(Stage.COLLECTING):
            self._follow(task)
        ledger.subscribe(self._follow_ledger, Stage.COLLECTING, *MOVES[Stage.COLLECTING])

    def _follow_ledger(self, transaction: Transaction) -> None:
        for record in transaction.records:
            if isinstance(record, Task) and record.version > 1:  # a new one has chosen nothing
                self._follow(record)

    def _follow(self, task: Task) -> None:
        if task.stage is Stage.COLLECTING:
            for output in task.outputs:
                if output.path is not None:
                    self._hold(output.path, task.task_id)
            return
        for path in self._held.pop(task.task_id, ()):
            if self._holder.get(path) == task.task_id:
                del self._holder[path]

    def name(self, task: Task) -> Task:
        """Return *task* with a path for each output that has none, no other task's.

        Whether a file lies there already is for the download to find out.
        """
        return self._with_paths(task, self._free_path)

    def name_otherwise(self, task: Task) -> Task:
        """Return *task* with a path of its own for each output that is not proven yet."""
        unnamed = tuple(
            output if output.sha256 is not None else msgspec.structs.replace(output, path=None)
            for output in task.outputs
        )
        return self._with_paths(msgspec.structs.replace(task, outputs=unnamed), self._own_path)

    def _with_paths(self, task: Task, choose: Callable[[Task, int], str]) -> Task:
        outputs = tuple(
            output
            if output.path is not None
            else msgspec.structs.replace(output, path=choose(task, index))
            for index, output in enumerate(task.outputs, start=1)
        )
        return msgspec.structs.replace(task, outputs=outputs)

    def _free_path(self, task: Task, index: int) -> str:
        path = self._prefix + self._relative(task, index)
        if self._holder.get(path, task.task_id) != task.task_id:
            return self._own_path(task, index)
        return self._hold(path, task.task_id)

    def _own_path(self, task: Task, index: int) -> str:
        """Return a path that no other task chooses: it bears the task's id and attempt."""
        relative = with_suffix(self._relative(task, index), f"{task.task_id}-{task.attempt}")
        return self._hold(self._prefix + relative, task.task_id)

    def _relative(self, task: Task, index: int) -> str:
        _, *suffix = task.outputs[index - 1].filename.rpartition(".")
        return output_path(self.folder.name, task, index, "".join(suffix))

    def _hold(self, path: str, task_id: str) -> str:
        self._holder[path] = task_id
        self._held.setdefault(task_id, set()).add(path)
        return path
