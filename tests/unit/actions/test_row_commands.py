"""What a person writes into 命令 acts on the whole row, and as the same verb elsewhere does."""

from pathlib import Path

import pytest

from daemon.actions.row_commands import RowCommands
from daemon.tables.status import Command
from daemon.words import Words
from ledger.batch import BatchStatus
from ledger.entry import Meta
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import Dependency, Metadata, Publish, TableRow
from tests.fakes.clock import FakeClock
from tests.fakes.records import batch_record, task_record

TYPES = ("图片合成", "图生视频")
NOTE = Meta(section="commands", key="table:k1", value={"word": "x"})


@pytest.fixture
async def ledger():
    """A row of two stages, and a waiting row of greater priority, in a batch that runs."""
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    row = Metadata(table_row=TableRow(table="table", key="k1", workflow_types=TYPES))
    first = task_record(1, metadata=row, publish=Publish(state="pending"))
    second = task_record(
        2,
        row_id=first.row_id,
        workflow_type=TYPES[1],
        depends_on=Dependency(row_id=first.row_id, workflow_type=TYPES[0]),
        metadata=row,
        publish=Publish(state="pending"),
    )
    await ledger.commit(batch_record(), first, second, task_record(3, priority=7), op="a.b")
    yield ledger
    await ledger.close()


@pytest.fixture
def obey(ledger):
    commands = RowCommands(ledger, FakeClock(), input_path=Path, output_path=Path)

    async def obey(command: Command) -> str:
        task = ledger.task("img_20261121_000001")
        return await commands.carry_out(task, command, NOTE, actor="table:table", words=Words("zh"))

    return obey


def stages(ledger: Ledger) -> list[Stage]:
    return [task.stage for task in ledger.tasks()]


async def test_cancel_ends_both_stages_with_one_note_and_retry_begins_both_anew(ledger, obey):
    await obey(Command.CANCEL)
    assert stages(ledger)[:2] == [Stage.CANCELLED] * 2
    assert ledger.meta("commands")["table:k1"]["word"] == "x"
    await obey(Command.RETRY)
    first, second = list(ledger.tasks())[3:]
    assert (first.workflow_type, second.workflow_type) == TYPES
    assert {task.stage for task in (first, second)} == {Stage.WAITING}
    assert {task.publish.state for task in (first, second)} == {"pending"}
    assert first.metadata.table_row.key == "k1"


async def test_urgent_puts_the_row_before_all_others_once(ledger, obey):
    await obey(Command.URGENT)
    assert [task.priority for task in ledger.tasks()] == [8, 8, 7]
    assert "没有改动" in await obey(Command.URGENT)
    assert [task.priority for task in ledger.tasks()] == [8, 8, 7]


async def test_pause_and_resume_are_for_the_batch_of_the_row(ledger, obey):
    await obey(Command.PAUSE)
    assert ledger.batch("spring-abc234").status is BatchStatus.PAUSED
    await obey(Command.RESUME)
    assert ledger.batch("spring-abc234").status is BatchStatus.RUNNING


async def test_what_cannot_be_done_is_told_and_leaves_no_note(ledger, obey):
    assert "不能重试" in await obey(Command.RETRY)
    assert not ledger.meta("commands")
