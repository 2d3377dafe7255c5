"""A state folder that was moved away comes back by a person's hand, never by ours."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from config.settings import Settings
from daemon.feishu.quota import Quota
from daemon.folders import make_below
from daemon.intake.errors import Postponed
from daemon.intake.row_check import RowCheck
from daemon.tables.cells import CellFile
from daemon.tables.handle import handles_of
from daemon.upkeep.backup import LedgerBackups
from daemon.web.thumb_cache import ThumbCache
from ledger.errors import LedgerGone
from ledger.jsondir.backup import copy_ledger
from ledger.jsondir.store import JsonDirBackend
from ledger.memory import MemoryBackend
from tests.bench.ledger_records import finished_task
from tests.fakes.clock import FakeClock
from tests.fakes.file_users import CsvUser
from tests.unit.intake.house import House

NOW = datetime(2026, 11, 26, tzinfo=UTC)


async def thumbnail(state: Path) -> None:
    source = state.parent / "a.png"
    Image.new("RGB", (8, 8)).save(source)
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    assert await ThumbCache(state / "thumbs").thumb(sha256, source)  # shown all the same


async def backup(state: Path) -> None:
    backups = LedgerBackups(state / "ledger-backups", partial(copy_ledger, state / "ledger"))
    with pytest.raises(FileNotFoundError):
        backups.make(NOW)


async def count_of_calls(state: Path) -> None:
    quota = Quota(state / "feishu-calls.json", FakeClock())
    await quota.count()
    await quota.pause("feishu")
    assert quota.calls == 1  # calls go on being counted


async def picture_of_a_cell(state: Path) -> None:
    user = CsvUser(state.parent / "document")
    user.fill(("产品名", "任务ID", "状态"), [{"产品名": "茶壶"}])
    table, house = user.open(), House(state.parent, MemoryBackend())
    (handle,) = handles_of([table], Settings(tables=(user.settings,)), house.ledger, house.clock)
    (row,) = (await table.read_all()).rows
    file = CellFile(token="t", name="pot.png", size_bytes=1)
    row = msgspec.structs.replace(row, files={"product_image": (file,)})
    with pytest.raises(Postponed):
        await RowCheck(handle, house.intake, state).check([row])
    await table.close()


async def archive(state: Path) -> None:
    store = JsonDirBackend(state / "ledger")
    await store.open(lambda *_: None, lambda *_: None)
    moved = state.rename(state.parent / "moved")
    with pytest.raises(LedgerGone):
        await store.archive([finished_task(1)])
    assert not state.exists()
    moved.rename(state)
    await store.close()
    state.rename(moved)


@pytest.mark.parametrize(
    "write",
    [thumbnail, backup, count_of_calls, picture_of_a_cell, archive],
    ids=lambda w: w.__name__,
)
async def test_what_is_written_into_a_state_folder_that_is_gone_does_not_make_it(
    tmp_path: Path, write: Callable[[Path], Awaitable[None]]
) -> None:
    await write(tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_folders_are_made_below_one_that_is_there_and_nowhere_else(tmp_path: Path) -> None:
    make_below(tmp_path, tmp_path / "a" / "b")
    make_below(tmp_path, tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    with pytest.raises(FileNotFoundError):
        make_below(tmp_path / "none", tmp_path / "none" / "a")
    with pytest.raises(ValueError, match="not in the subpath"):
        make_below(tmp_path / "a", tmp_path / "c")
