"""A ledger in memory with a batch, and actions carried out in it."""

from collections.abc import Callable
from pathlib import Path

from daemon.actions.errors import ActionError
from daemon.actions.performing import carry_out
from daemon.actions.plan import Plan, Planning
from ledger.batch import Batch
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import Dependency, Json, OutputFile, Task
from tests.fakes.clock import FakeClock
from tests.fakes.records import batch_record, task_record

BATCH = "spring-abc234"
LATER = "2026-11-21T11:00:00.000Z"
VIDEO = "图生视频"
PATHS = {
    Stage.WAITING: (),
    Stage.SUBMITTING: (Stage.SUBMITTING,),
    Stage.QUEUED: (Stage.SUBMITTING, Stage.QUEUED),
    Stage.RUNNING: (Stage.SUBMITTING, Stage.RUNNING),
    Stage.COLLECTING: (Stage.SUBMITTING, Stage.COLLECTING),
    Stage.DONE: (Stage.SUBMITTING, Stage.COLLECTING, Stage.DONE),
    Stage.FAILED: (Stage.FAILED,),
    Stage.CANCELLED: (Stage.CANCELLED,),
}


class House:
    """The ledger, and what a person does to it."""

    def __init__(self) -> None:
        self.backend = MemoryBackend()
        self.ledger = Ledger(self.backend)
        self.clock = FakeClock()

    async def open(self, *tasks: Task, **batch: object) -> "House":
        await self.ledger.open()
        await self.ledger.commit(batch_record(**batch), *tasks, op="rows.accepted")
        return self

    async def do(self, plan: Plan | Planning) -> dict[str, Json]:
        return dict(await carry_out(self.ledger, plan, actor="cli:anna"))

    async def refused(self, plan: Callable[[], Plan]) -> str:
        """Return the code and status of the refusal; nothing was written."""
        before = len(self.backend.transactions)
        try:
            plan()
        except ActionError as error:
            assert len(self.backend.transactions) == before
            return f"{error.status} {error.code} {error.values}"
        raise AssertionError("it was not refused")

    async def move(self, task_id: str, to: Stage, **fields: object) -> Task:
        for stage in PATHS[to]:
            moved = self.ledger.task(task_id).moved(stage, at=LATER, server="gpu-a", **fields)
            await self.ledger.commit(moved, op="test.moved")
        return self.ledger.task(task_id)

    def batch(self) -> Batch:
        return self.ledger.batch(BATCH)


def row(number: int, stage: Stage = Stage.WAITING, **fields: object) -> Task:
    server = None if stage in (Stage.WAITING, Stage.FAILED, Stage.CANCELLED) else "gpu-a"
    return task_record(number, stage, server=server, **fields)


def video_of(picture: Task, number: int, stage: Stage = Stage.WAITING, **fields: object) -> Task:
    return row(
        number,
        stage,
        row_id=picture.row_id,
        workflow_type=VIDEO,
        depends_on=Dependency(row_id=picture.row_id, workflow_type=picture.workflow_type),
        **fields,
    )


def picture_made(path: str = "outputs/0001.png") -> OutputFile:
    return OutputFile(
        node="40", filename="a.png", subfolder="", type="output", path=path, sha256="0" * 64
    )


def rows(count: int, stages: dict[Stage, int]) -> list[Task]:
    """Return *count* rows, the first of them in *stages*, the rest waiting."""
    each = [stage for stage, number in stages.items() for _ in range(number)]
    each += [Stage.WAITING] * (count - len(each))
    return [row(number, stage) for number, stage in enumerate(each, start=1)]


def anywhere(_: str) -> Path:
    return Path(__file__)


def nowhere(_: str) -> Path:
    return Path("/nowhere/at/all")
