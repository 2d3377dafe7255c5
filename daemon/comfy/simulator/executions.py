"""What was really executed, in memory and in ``executions.jsonl`` of the server's folder."""

from collections import Counter
from datetime import datetime
from pathlib import Path

import msgspec

FILE_NAME = "executions.jsonl"


class Execution(msgspec.Struct, kw_only=True, omit_defaults=False):
    """One run of a graph in which at least one node was executed; a full cache hit is none.

    ``ended_at`` and ``result`` stay None when the server died in the middle.
    """

    number: int
    prompt_id: str
    task_id: str | None = None
    attempt: int | None = None
    started_at: str
    ended_at: str | None = None
    result: str | None = None  # success, error, interrupted


class Executions:
    """The executions of one folder, those of earlier lives of the server included.

    Each is appended when it begins and again when it ends, so that a killed one is seen without
    its end.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._all = {run.number: run for run in read_executions(folder)}

    def begin(
        self, prompt_id: str, task: tuple[str | None, int | None], now: datetime
    ) -> Execution:
        """Note that an execution begins."""
        run = Execution(
            number=len(self._all) + 1,
            prompt_id=prompt_id,
            task_id=task[0],
            attempt=task[1],
            started_at=now.isoformat(),
        )
        self._all[run.number] = run
        self._append(run)
        return run

    def end(self, run: Execution, result: str, now: datetime) -> None:
        """Note how an execution ended."""
        run.ended_at, run.result = now.isoformat(), result
        self._append(run)

    def all(self) -> tuple[Execution, ...]:
        """Return every execution, oldest first."""
        return tuple(self._all.values())

    def __len__(self) -> int:
        """Return how many executions began."""
        return len(self._all)

    def per_task(self) -> Counter[str]:
        """Return how many executions began for each task id."""
        return Counter(run.task_id for run in self._all.values() if run.task_id is not None)

    def per_attempt(self) -> Counter[tuple[str, int]]:
        """Return how many executions began for each task id and attempt."""
        return Counter(
            (run.task_id, run.attempt)
            for run in self._all.values()
            if run.task_id is not None and run.attempt is not None
        )

    def per_prompt(self) -> Counter[str]:
        """Return how many executions began for each prompt id."""
        return Counter(run.prompt_id for run in self._all.values())

    def _append(self, run: Execution) -> None:
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(run) + b"\n")


def read_executions(folder: Path) -> list[Execution]:
    """Return the executions noted in *folder*, oldest first; a torn last line is left out."""
    path = folder / FILE_NAME
    found: dict[int, Execution] = {}
    content = path.read_bytes() if path.exists() else b""
    for line in content.split(b"\n")[:-1]:
        run = msgspec.json.decode(line, type=Execution)
        found[run.number] = run
    return list(found.values())
