"""The outbox outlasts tables that cannot be written, in virtual time, and never tells half."""

import asyncio
import contextlib

import pytest

from config.settings import Settings
from config.settings import Table as TableSettings
from daemon.publish.outbox import TableOutbox
from daemon.publish.publisher import Publisher
from daemon.tables.handle import handles_of
from daemon.tables.opening import open_tables
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import Metadata, Publish, TableRow, Task
from tests.fakes.clock import FakeClock
from tests.fakes.file_users import CsvUser
from tests.fakes.records import AT, batch_record, task_record

FLOW = (Stage.SUBMITTING, Stage.QUEUED, Stage.RUNNING, Stage.COLLECTING, Stage.DONE)
HEADINGS = ("产品名", "任务ID", "状态", "错误信息")
ROWS = 3


class House:
    """A table, its outbox and a ledger, in a time of their own."""

    def __init__(self, folder) -> None:
        self.clock = FakeClock()
        self.user = CsvUser(folder)
        self.user.fill(HEADINGS, [{"任务ID": f"k{n}"} for n in range(1, ROWS + 1)])
        self.ledger = Ledger(MemoryBackend())
        self.settings = Settings(
            tables=(TableSettings(name="table", kind="csv", path=self.user.path),)
        )

    async def begin(self) -> None:
        await self.ledger.open()
        tasks = [
            task_record(
                n,
                publish=Publish(state="pending"),
                metadata=Metadata(
                    table_row=TableRow(table="table", key=f"k{n}", workflow_types=("图片合成",))
                ),
            )
            for n in range(1, ROWS + 1)
        ]
        await self.ledger.commit(batch_record(), *tasks, op="batch.accepted")

    async def move(self, number: int, *stages: Stage, **fields: object) -> None:
        for stage in stages:
            task = self.ledger.task(f"img_20261121_{number:06}")
            await self.ledger.commit(task.moved(stage, at=AT, **fields), op="task.moved")

    @contextlib.asynccontextmanager
    async def publishing(self):
        """A publisher such as each start makes anew."""
        (table,) = open_tables(self.settings.tables)
        (self.handle,) = handles_of([table], self.settings, self.ledger, self.clock)
        outbox = TableOutbox(self.handle, self.ledger, self.user.path.parent.joinpath, self.clock)
        publisher = Publisher([outbox], self.ledger, self.clock)
        stop = asyncio.Event()
        running = asyncio.create_task(publisher.run(stop))
        try:
            yield publisher
        finally:
            stop.set()
            await running

    async def pass_seconds(self, seconds: float, step: float = 20.0) -> None:
        for _ in range(int(seconds / step)):
            self.clock.advance(step)
            await asyncio.sleep(0.01)  # a thread reads the real file meanwhile

    def published(self) -> list[str]:
        """Return a list that grows by each task whose results the table has been told."""
        told: list[str] = []
        self.ledger.subscribe(
            lambda transaction: told.extend(
                record.task_id
                for record in transaction.records
                if isinstance(record, Task) and record.publish.state == "published"
            )
        )
        return told

    async def until(self, condition) -> None:
        """Let time pass until *condition* holds; how much, depends on how long a real write takes."""
        for _ in range(500):
            if condition():
                return
            await self.pass_seconds(20)
        raise AssertionError("it never came to be")

    def said(self) -> list[str]:
        return [row["状态"] for row in self.user.rows()]

    def states(self) -> list[str]:
        return [task.publish.state for task in self.ledger.tasks()]


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path / "document")
    await house.begin()
    yield house
    await house.ledger.close()


async def test_a_table_that_cannot_be_written_for_an_hour_holds_up_no_task_and_is_told_in_order(
    house,
):
    house.user.unwritable()
    told = house.published()
    async with house.publishing():
        await house.move(1, *FLOW)
        await house.pass_seconds(60)
        await house.move(2, *FLOW[:3], Stage.FAILED, error_message="没有内存")
        await house.pass_seconds(3600)
        assert [task.stage for task in house.ledger.tasks()][:2] == [Stage.DONE, Stage.FAILED]
        assert house.said() == ["", "", ""]
        assert house.states() == ["pending"] * 3
        hindrance = house.handle.standing.writing
        assert hindrance.trouble.code == "in_use"
        assert "somebody" in hindrance.trouble.values["who"]
        house.user.writable()
        await house.until(lambda: house.said() == ["已完成", "失败", "在处理中"])
        await house.until(lambda: house.states()[:2] == ["published"] * 2)
        assert house.user.rows()[1]["错误信息"] == "没有内存"
        await house.until(lambda: house.handle.standing.writing is None)
    assert house.states() == ["published", "published", "pending"]  # the third goes on
    assert told == ["img_20261121_000001", "img_20261121_000002"]
    assert 5 < house.ledger.task("img_20261121_000001").publish.attempts < 40


async def test_what_one_process_could_not_tell_the_next_one_does(house):
    house.user.unwritable()
    async with house.publishing():
        await house.move(1, *FLOW)
        await house.pass_seconds(60)
    house.user.writable()
    async with house.publishing():
        await house.until(lambda: house.states()[0] == "published")
        assert house.said()[0] == "已完成"
    assert house.ledger.unpublished("table") == ["img_20261121_000002", "img_20261121_000003"]


async def test_a_row_that_is_gone_is_noted_and_the_others_are_told(house):
    house.user.delete(0)
    async with house.publishing():
        for number in (1, 2):
            await house.move(number, *FLOW)
        await house.until(lambda: "pending" not in house.states()[:2])
    assert house.states()[:2] == ["row_gone", "published"]
    assert house.said()[0] == "已完成"


async def test_a_task_that_is_retried_is_shown_by_its_newest_run(house):
    async with house.publishing():
        await house.move(1, *FLOW[:3], Stage.FAILED, error_message="坏")
        await house.until(lambda: house.said()[0] == "失败")
        failed = house.ledger.task("img_20261121_000001")
        again = task_record(
            9, row_id=failed.row_id, publish=failed.publish.due(), metadata=failed.metadata
        )
        await house.ledger.commit(again, op="task.retried")
        await house.until(lambda: house.said()[0] == "在处理中")
        assert house.user.rows()[0]["错误信息"] == ""
