"""A table whose rows have ended and are archived, with what sorts it; and an older copy of it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from config.settings import Settings
from daemon.intake.restoring import Restoration
from daemon.intake.table_rows import TableRows
from daemon.intake.wants import Wants
from daemon.publish.outbox import TableOutbox
from daemon.tables.handle import handles_of
from ledger.backend import Backend
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import Metadata, OutputFile, Publish, TableRow, Task
from tests.fakes.clock import JumpingClock
from tests.fakes.file_users import CsvUser
from tests.fakes.records import AT, batch_record, task_record

NAMES = ("茶壶", "茶杯")
KEYS = ["img_20261121_000001", "img_20261121_000002"]


def archived_task(number: int, **fields: object) -> Task:
    """Return the task of a row that is done, and was told so."""
    path = f"outputs/{NAMES[number - 1]}.png"
    output = OutputFile(
        node="40", filename="x", subfolder="", type="output", path=path, sha256="0" * 64
    )
    place = TableRow(table="table", key=KEYS[number - 1], workflow_types=("图片合成",))
    known = Metadata(table_row=place, feishu_row_data={"product_name": NAMES[number - 1]})
    given = {"publish": Publish(state="published"), "metadata": known, "finished_at": AT}
    given |= {"outputs": (output,), "output_files": (path,)}
    return task_record(number, Stage.DONE, **(given | fields))


class ArchivedTable:
    """The table, and what looks at it."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.user = CsvUser(folder)
        self.clock = JumpingClock()
        self.ledger = ledger
        self.older = b""
        headings = ("产品名", "任务ID", "状态", "完成时间", "输出图片")
        self.user.fill(headings, [{"产品名": name} for name in NAMES])
        self.older = self.user.path.read_bytes()
        for number, key in enumerate(KEYS):
            self.user.edit(number, "任务ID", key)
            self.user.edit(number, "状态", "已完成")
            self.user.edit(number, "完成时间", "2026-11-21 18:00:00")
        self.table = self.user.open()
        settings = Settings(tables=(self.user.settings,))
        (self.handle,) = handles_of([self.table], settings, ledger, self.clock)
        self.rows = TableRows(self.handle, ledger, {}, self.clock)
        self.restoration = Restoration(self.handle, self.rows, ledger)
        self.outbox = TableOutbox(self.handle, ledger, folder.joinpath, self.clock)
        ledger.subscribe(self.outbox.follow)

    async def sort(self) -> Wants:
        return await self.rows.sort(await self.table.read_all(), (), AT)

    async def archive(self, tasks: Sequence[Task]) -> None:
        """Archive them together."""
        await self.ledger.commit(*tasks, op="batch.accepted")
        later = self.clock.now() + timedelta(days=60)
        assert await self.ledger.archive_finished(later) == len(tasks)

    async def tell(self) -> list[str]:
        """Tell what is due; returns the results that the rows show."""
        while not self.outbox.idle:
            await self.outbox.tell(at_once=True)
        return [row["输出图片"].rpartition("/")[2] for row in self.user.rows()]

    def save_older_copy(self) -> None:
        self.user.path.write_bytes(self.older)


@asynccontextmanager
async def archived_table(folder: Path, store: Backend) -> AsyncIterator[ArchivedTable]:
    """Have the rows archived, each apart, after a look at the table that found nothing to do."""
    ledger = Ledger(store)
    await ledger.open()
    await ledger.commit(batch_record(), op="batch.accepted")
    made = ArchivedTable(folder / "document", ledger)
    for number in (1, 2):
        await made.archive([archived_task(number)])
    assert (await made.sort()).reports == []
    yield made
    await made.table.close()
    await ledger.close()
