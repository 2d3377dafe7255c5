"""What the ledger knows of one row of a table: its tasks, its cells, what was noted of them."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from daemon.publish.fields import MAX_ERROR_CHARACTERS, cells_of, output_column, row_status
from daemon.tables.answers import Answer, answer_in
from daemon.tables.cells import Outcome, Result, ResultFile, Value
from daemon.tables.handle import TableHandle
from daemon.tables.status import RowStatus
from daemon.words import Words
from ledger.ledger import Ledger
from ledger.status import OPEN_STAGES, Stage
from ledger.task import Publish, Task

#: How outcomes are called in the record.
_STATES = {
    Result.WRITTEN: "published",
    Result.GONE: "row_gone",
    Result.REFUSED: "refused",
    Result.UNKNOWN_FILES: "refused",  # those that went up anew, and are not known again
}


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A result and where it belongs."""

    task_id: str
    file: ResultFile
    column: str


class RowNews:
    """Reads rows of one table."""

    def __init__(
        self,
        ledger: Ledger,
        handle: TableHandle,
        absolute: Callable[[str], Path],
        page: str = "",
    ) -> None:
        """*page*: where people reach our page, "" when they cannot."""
        self._page = page.rstrip("/")
        self._ledger = ledger
        self._handle = handle
        self._table = handle.table
        self._absolute = absolute

    def tasks(self, row_id: str, workflow_types: Sequence[str]) -> list[Task]:
        """Return the newest task of each stage of the row."""
        newest = (self._ledger.newest_of_family(row_id, name) for name in workflow_types)
        return [task for task in newest if task is not None]

    def cells(self, tasks: Sequence[Task]) -> dict[str, Value]:
        """Return the row's cells."""
        files: dict[str, tuple[ResultFile, ...]] = {}
        for each in self._results(tasks):
            files[each.column] = (*files.get(each.column, ()), each.file)
        cells = cells_of(self._ledger, tasks, files, self._handle.words)
        error = cells["error"] or self._left_out(files)
        answer = self.answer(tasks)
        if answer is not None and (not self.is_over(tasks) or answer.is_newer_than(tasks)):
            told = [answer.said, str(error or "")]
            both = self._handle.words("intake.and").join(filter(None, told))
            error = both[:MAX_ERROR_CHARACTERS]
        cells["error"] = error
        return cells

    def answer(self, tasks: Sequence[Task]) -> Answer | None:
        """Return what the row's maker was told of a command since the row was told its end."""
        row = tasks[0].metadata.table_row
        return None if row is None else answer_in(self._ledger, row.table, row.key)

    def is_over(self, tasks: Sequence[Task]) -> bool:
        """Say whether the row shows its end."""
        return row_status(self._ledger, tasks) is not RowStatus.PROCESSING

    def _left_out(self, files: Mapping[str, Sequence[ResultFile]]) -> str | None:
        """Return which columns are wanting for results that have no place in the row."""
        names: list[str] = []
        for column, own in files.items():
            room = self._table.room(column)
            heading = self._handle.words.headings[column]
            names += [f"{heading}{n}" for n in range(1 + (room or len(own)), 1 + len(own))]
        if not names:
            return None
        return self._handle.words("table.results_left_out", columns=names)

    def uploads(self, tasks: Sequence[Task]) -> list[Placed]:
        """Return the results that must be put into the document before the cells are written."""
        return [each for each in self._results(tasks) if each.file.token is None]

    def _results(self, tasks: Sequence[Task]) -> list[Placed]:
        """Return the results of the row that lie on our disk, in the order of their making."""
        results: list[Placed] = []
        counts: Counter[str] = Counter()
        for task in (task for task in tasks if task.stage is Stage.DONE):
            for index, output in enumerate(task.outputs):
                if output.sha256 is None or output.removed_at is not None:
                    continue
                column = output_column(output)
                counts[column] += 1
                file = self._file(task, index, counts[column])
                results.append(Placed(task_id=task.task_id, file=file, column=column))
        return results

    def with_token(self, token: str, at: str, *results: Placed) -> Task:
        """Return the task with the note that these *results* of it have *token*."""
        task = self._ledger.task(results[0].task_id)
        own = {self._token_key(each.file.sha256): token for each in results}
        tokens = task.publish.tokens | own
        return task.changed(at=at, publish=msgspec.structs.replace(task.publish, tokens=tokens))

    def with_unknown(self, tasks: Sequence[Task], unknown: Collection[str], at: str) -> list[Task]:
        """Return the tasks of a row that have tokens among *unknown*, without these.

        So their files go up anew. Nothing when one of them did already: it will not help again.
        """
        changed: list[Task] = []
        for task in (self._ledger.task(each.task_id) for each in tasks):
            known = task.publish
            keys = [key for key, token in known.tokens.items() if token in unknown]
            if not {*keys}.isdisjoint(known.uploaded_anew):
                return []
            if keys:
                publish = msgspec.structs.replace(
                    known,
                    tokens={key: each for key, each in known.tokens.items() if key not in keys},
                    uploaded_anew=(*known.uploaded_anew, *keys),
                )
                changed.append(task.changed(at=at, publish=publish))
        return changed

    def _file(self, task: Task, index: int, number: int) -> ResultFile:
        output = task.outputs[index]
        path = self._absolute(output.path or "")
        sha256 = output.sha256 or ""
        return ResultFile(
            path=path,
            recorded=output.path or "",
            name=path.name,
            sha256=sha256,
            size_bytes=output.size_bytes or 0,
            number=number,
            token=task.publish.tokens.get(self._token_key(sha256)),
            link=f"{self._page}/outputs/{task.task_id}/{index}" if self._page else None,
        )

    def _token_key(self, sha256: str) -> str:
        return f"{self._table.document}:{sha256}"


def is_replaced(tasks: Sequence[Task]) -> bool:
    """Say whether the row of *tasks* bears the id of a later run: it is told of that one only."""
    places = [task.metadata.table_row for task in tasks]
    return any(place is not None and place.replaced_by is not None for place in places)


def noted(task: Task, outcome: Outcome, *, at: str, attempts: int, words: Words) -> Task | None:
    """Return the task with the note of what the table was told; None when there is none to make.

    Only of a task that has ended: open ones belong to the steps, which must not be overtaken for
    a cell, and what their row was told is told again after a restart.
    """
    state = _STATES.get(outcome.result)
    if state is None or task.stage in OPEN_STAGES or not _is_to_be_noted(task.publish, state):
        return None
    publish = Publish(
        state=state,
        attempts=task.publish.attempts + attempts,
        error=outcome.trouble.text(words) if outcome.trouble else None,
        tokens=task.publish.tokens,
    )
    return task.changed(at=at, publish=publish)


def _is_to_be_noted(known: Publish, state: str) -> bool:
    """Say whether *state* is news; a row that was gone may have come back, a file gone up anew."""
    told_after_all = known.state == "row_gone" or bool(known.uploaded_anew)
    return (told_after_all and state == "published") or not known.is_settled
