"""A ledger that is put back gives nothing twice, and knows what it lost."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.direct import DirectLedger
from ledger.errors import LedgerDamaged, LedgerLocked, NotABackup
from ledger.jsondir.backup import copy_ledger
from ledger.jsondir.check import verify
from ledger.jsondir.files import Disk
from ledger.jsondir.journals import all_journals
from ledger.jsondir.mark import IDS_AHEAD, mark_path
from ledger.jsondir.reader import history, read_state
from ledger.jsondir.repair import repair
from ledger.jsondir.restore import restore
from ledger.timestamps import to_timestamp
from tests.fakes.records import batch_record, task_record
from tests.unit.ledger.conftest import in_folder


def now() -> datetime:
    return datetime.now(UTC)


async def accept(folder: Path, count: int, *, compact: bool = False) -> list[str]:
    """Open the ledger, accept so many rows, close it; returns their ids."""
    ledger = in_folder(folder)
    await ledger.open()
    if not ledger.index.batch_ids():
        await ledger.commit(batch_record(), op="batch.accepted")
    ids = ledger.new_task_ids("图片合成", to_timestamp(now()), count)
    for task_id in ids:
        await ledger.commit(
            task_record(int(task_id[-6:]), task_id=task_id, root_task_id=task_id),
            op="task.accepted",
        )
    if compact:
        await ledger.compact()
    await ledger.close()
    return ids


@pytest.fixture
def lost(folder, tmp_path) -> tuple[Path, list[str], int]:
    """A backup made after two tasks, the ids given since, and the last change of the ledger.

    Later changes lie in its archive, in a journal that began before the backup and in one after.
    """

    async def live() -> list[str]:
        await accept(folder, 1, compact=True)
        await accept(folder, 1)
        copy_ledger(folder, tmp_path / "backup")
        return [*await accept(folder, 2, compact=True), *await accept(folder, 3, compact=True)]

    since = asyncio.run(live())
    return tmp_path / "backup", since, read_state(folder).last_seq


async def assert_goes_on(folder: Path, since: list[str], last_seq: int) -> list[str]:
    """Accept rows in the restored ledger and see that nothing of the lost one comes again."""
    assert verify(folder) == []
    assert repair(folder, now=now).lost == []
    before = {line.seq for task_id in since for line in history(folder, task_id)}
    assert before == set()
    ids = await accept(folder, 2)
    again = await accept(folder, 1, compact=True)
    assert not {*ids, *again} & set(since)
    assert min(ids) > max(since)
    assert int(again[0][-6:]) == int(ids[-1][-6:]) + 1  # a start by itself leaps nothing
    assert verify(folder) == []
    (accepted,) = history(folder, ids[0])
    assert accepted.seq > last_seq
    return ids


async def test_after_a_restore_neither_ids_nor_change_numbers_come_again(folder, lost):
    backup, since, last_seq = lost
    done = restore(folder, backup, now=now)
    assert done.lost == (read_state(backup).last_seq + 1, last_seq)
    assert (done.tasks, done.archived_journals) == (2, 1)
    aside = Path(done.kept_aside)
    assert set(read_state(aside).tasks) >= set(since)
    assert verify(aside) == []
    ids = await assert_goes_on(folder, since, last_seq)
    assert int(ids[0][-6:]) == int(since[-1][-6:]) + 1  # a whole ledger is known to the last id
    told = [line for place in all_journals(folder) if (line := told_in(place.read()))]
    assert told
    assert f"changes {done.lost[0]} to {done.lost[1]} were lost" in told[0]


def told_in(journal: bytes) -> str:
    return "".join(
        line for line in journal.decode().splitlines(keepends=True) if "ledger.restored" in line
    )


def by_hand(folder: Path, backup: Path, *, archive: bool) -> None:
    """Do what an older OPERATING.md printed."""
    folder.rename(folder.with_name("ledger.lost"))
    shutil.copytree(backup, folder)
    if archive:
        shutil.copytree(folder.with_name("ledger.lost") / "archive", folder / "archive")


@pytest.mark.parametrize("archive", [False, True], ids=["alone", "with the lost archive"])
async def test_a_backup_put_back_by_hand_gives_nothing_again_either(folder, lost, archive):
    backup, since, last_seq = lost
    by_hand(folder, backup, archive=archive)
    ids = await accept(folder, 1)
    assert int(ids[0][-6:]) == int(since[-1][-6:]) + IDS_AHEAD + 1
    await assert_goes_on(folder, since, last_seq)


async def test_a_command_sees_a_copy_put_back_by_hand_as_the_daemon_does(folder, lost):
    backup, since, last_seq = lost
    by_hand(folder, backup, archive=True)
    with DirectLedger(folder) as ledger:
        (task_id,) = ledger.new_task_ids("图片合成", to_timestamp(now()))
        ledger.commit(task_record(9, task_id=task_id), op="task.accepted", actor="cli:anna")
    assert task_id > max(since)
    await assert_goes_on(folder, since, last_seq)


async def test_a_copy_of_the_folder_without_a_note_is_known_by_the_mark_alone(folder, tmp_path):
    await accept(folder, 2)
    shutil.copytree(folder, tmp_path / "copy")
    since = await accept(folder, 1)
    shutil.rmtree(folder)
    (tmp_path / "copy").rename(folder)
    await assert_goes_on(folder, since, 0)


async def test_without_anything_left_of_the_ledger_ids_leap_far(folder, lost):
    backup, since, last_seq = lost
    shutil.rmtree(folder)
    mark_path(folder).unlink()
    done = restore(folder, backup, now=now)
    assert done.kept_aside is None
    assert int((await assert_goes_on(folder, since, last_seq))[0][-6:]) > 100_000


@pytest.mark.parametrize("marked", [True, False], ids=["with its mark", "without its mark"])
async def test_a_lost_ledger_of_which_only_pieces_are_readable_gives_nothing_again(
    folder, lost, marked
):
    backup, since, last_seq = lost
    for path in (folder / "ledger.json", *folder.glob("journal-*"), *folder.glob("archive/*.gz")):
        os.truncate(path, path.stat().st_size // 2)
    if not marked:
        mark_path(folder).unlink()
    restore(folder, backup, now=now)
    await assert_goes_on(folder, since, last_seq)


async def test_a_damaged_ledger_gives_no_id_that_its_lost_lines_gave(folder):
    since = await accept(folder, 3)
    (folder / "ledger.json").unlink()
    (journal,) = folder.glob("journal-*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[-1] = lines[-1].replace(b"spring", b"sprint", 1)
    journal.write_bytes(b"".join(lines))
    ids = await accept(folder, 1)
    assert min(ids) > max(since)
    repair(folder, now=now)
    assert min(await accept(folder, 1)) > max(ids)


async def test_a_ledger_in_use_and_a_folder_that_is_no_whole_backup_are_left_alone(folder, lost):
    backup, _, last_seq = lost
    ledger = in_folder(folder)
    await ledger.open()
    with pytest.raises(LedgerLocked):
        restore(folder, backup, now=now)
    await ledger.close()
    with pytest.raises(NotABackup):
        restore(folder, backup.parent, now=now)
    journal = next(backup.glob("journal-*"))
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    with pytest.raises(LedgerDamaged, match="backup"):
        restore(folder, backup, now=now)
    assert read_state(folder).last_seq >= last_seq
    assert [path.name for path in folder.parent.glob("ledger.*")] == [mark_path(folder).name]


class Killed(BaseException):
    """The process ends here."""


async def test_killed_anywhere_a_restore_leaves_the_old_ledger_or_the_new_one(folder, tmp_path):
    await accept(folder, 2, compact=True)
    copy_ledger(folder, tmp_path / "backup")
    since = await accept(folder, 2, compact=True)
    last_seq = read_state(folder).last_seq
    places: list[str] = []
    restored_in(folder, tmp_path, 0, places.append)
    assert {"restore.before_aside", "restore.before_rename"} <= set(places)
    outcomes = set()
    for number in range(1, len(places) + 1):

        def kill(_: str, left: list[int] = [number]) -> None:  # noqa: B006 - counts down
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        world = restored_in(folder, tmp_path, number, kill)
        ids = await accept(world, 1)  # the next start
        count = len(read_state(world).tasks)
        outcomes.add(count)
        assert count in {5, 3}, places[number - 1]
        assert min(ids) > max(since), places[number - 1]
        assert verify(world) == [], places[number - 1]
        restore(world, tmp_path / "backup", now=now)
        await assert_goes_on(world, [*since, *ids], last_seq)
    assert outcomes == {5, 3}


def restored_in(folder: Path, tmp_path: Path, number: int, reached: Callable[[str], None]) -> Path:
    """Restore a copy of the ledger, or be killed at it; returns where it lies."""
    world = tmp_path / f"world-{number}" / "ledger"
    shutil.copytree(folder, world)
    shutil.copy(mark_path(folder), mark_path(world))
    with contextlib.suppress(Killed):
        restore(world, tmp_path / "backup", now=now, disk=Disk(reached))
    return world
