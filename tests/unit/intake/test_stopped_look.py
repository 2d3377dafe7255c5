"""A look at a table that the stop cuts short leaves its standing as the last whole one noted it."""

import asyncio
from pathlib import Path

from config.settings import Settings
from daemon.actions.row_commands import RowCommands
from daemon.intake.claims import Claims
from daemon.intake.command_column import CommandColumn
from daemon.intake.restoring import Restoration
from daemon.intake.row_check import RowCheck
from daemon.intake.table import TablePoller
from daemon.intake.table_rows import TableRows
from daemon.tables.handle import TableHandle, handles_of
from tests.fakes.file_users import CsvUser
from tests.unit.intake.house import NEEDS, House


def poller_of(house: House, handle: TableHandle, state: Path) -> TablePoller:
    rows = TableRows(handle, house.ledger, NEEDS, house.clock)
    check = RowCheck(handle, house.intake, state)
    claims = Claims(handle, check, house.intake, house.ledger, house.clock, lost=rows.lost)
    commands = RowCommands(house.ledger, house.clock, input_path=Path, output_path=Path)
    return TablePoller(
        handle,
        rows=rows,
        restoration=Restoration(handle, rows, house.ledger),
        claims=claims,
        commands=CommandColumn(handle, claims, commands, house.ledger, house.clock),
        clock=house.clock,
    )


async def test_rows_that_a_stop_left_unlooked_at_are_still_said_not_to_run(
    house: House, tmp_path: Path
) -> None:
    user = CsvUser(tmp_path / "document")
    rows = [{"产品名": "茶壶", "产品图": "none.png"}]
    user.fill(("产品名", "产品图", "任务ID", "状态", "错误信息"), rows)
    table = user.open()
    (handle,) = handles_of([table], Settings(tables=(user.settings,)), house.ledger, house.clock)
    poller, stop = poller_of(house, handle, tmp_path), asyncio.Event()
    await poller.look(stop)
    before = handle.standing
    assert [row.trouble.code for row in before.refused_rows] == ["row_refused"]
    stop.set()
    user.edit(0, "产品名", "茶杯")
    await poller.look(stop)
    assert handle.standing == before
    await table.close()
