"""Which rows were archived is known without memory, whatever became of the file that tells."""

import errno
import os
import shutil
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import structlog

from daemon.words.retelling import LEDGER, in_language
from ledger.errors import LedgerDamaged
from ledger.jsondir import archive, archived_rows
from ledger.jsondir.archived_rows import NAME, ArchivedRows, catch_up
from ledger.jsondir.check import verify
from ledger.jsondir.files import Disk
from ledger.jsondir.repair import repair
from tests.bench.ledger_records import finished_task
from tests.fakes.records import batch_record
from tests.unit.ledger.conftest import in_folder

FINGERPRINTS = [finished_task(number).fingerprint for number in range(700)]


def put(folder: Path, first: int, end: int) -> None:
    archive.put(folder, Disk(), [finished_task(number) for number in range(first, end)])


def known(rows: ArchivedRows) -> list[str]:
    return [each for each in FINGERPRINTS if each in rows]


class ReadOnlyOfOne(Disk):
    """A disk that has no room for the file of archived rows."""

    def write_whole(self, what, path, pieces):
        if what == "archived_rows":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        super().write_whole(what, path, pieces)


@pytest.mark.parametrize("portion", [25_000, 100, 1])
def test_rows_are_known_once_archived_and_no_other(tmp_path, monkeypatch, portion):
    monkeypatch.setattr(archived_rows, "_PORTION_ROWS", portion)
    assert known(catch_up(tmp_path, Disk())) == []
    assert not (tmp_path / "archive").exists()
    for first, end in ((0, 1), (1, 300), (300, 650), (640, 690)):  # some come twice
        put(tmp_path, first, end)
        rows = catch_up(tmp_path, Disk())
        assert known(rows) == FINGERPRINTS[:end]
        assert len(rows) == end


def test_a_file_that_tells_of_all_is_not_written_again(tmp_path):
    put(tmp_path, 0, 50)
    catch_up(tmp_path, Disk())
    assert known(catch_up(tmp_path, ReadOnlyOfOne())) == FINGERPRINTS[:50]
    put(tmp_path, 50, 51)
    with pytest.raises(OSError, match="No space"):
        catch_up(tmp_path, ReadOnlyOfOne())


def test_a_file_with_any_byte_changed_or_missing_is_made_again(tmp_path):
    put(tmp_path, 0, 3)
    path = tmp_path / "archive" / NAME
    catch_up(tmp_path, Disk())
    whole = path.read_bytes()
    spoilt = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]
    spoilt += [whole[:at] for at in range(0, len(whole), 9)] + [whole + b"\n", whole[35:]]
    for data in spoilt:
        path.write_bytes(data)
        assert known(catch_up(tmp_path, Disk())) == FINGERPRINTS[:3]
    assert path.read_bytes() == whole


def test_indexes_that_are_others_than_before_are_read_again_and_nothing_is_forgotten(tmp_path):
    put(tmp_path, 0, 40)
    catch_up(tmp_path, Disk())
    index = next(tmp_path.glob("archive/*.index.jsonl"))
    lines = index.read_bytes().splitlines(keepends=True)
    other = lines[0].replace(FINGERPRINTS[0].encode(), FINGERPRINTS[99].encode())
    index.write_bytes(other + b"".join(lines[1:]))  # as long as before
    assert known(catch_up(tmp_path, Disk())) == [*FINGERPRINTS[:40], FINGERPRINTS[99]]
    index.write_bytes(b"".join(lines[:10]))
    put(tmp_path, 40, 50)
    index.rename(index.with_name("2026-10.index.jsonl"))
    assert known(catch_up(tmp_path, Disk())) == [*FINGERPRINTS[:50], FINGERPRINTS[99]]
    assert known(catch_up(tmp_path, ReadOnlyOfOne())) == [*FINGERPRINTS[:50], FINGERPRINTS[99]]


async def test_rows_of_a_month_that_is_gone_stay_known_and_somebody_is_told(tmp_path):
    put(tmp_path, 0, 40)
    catch_up(tmp_path, Disk())
    for each in tmp_path.glob("archive/2026-11*"):
        each.unlink()
    told = "2026-11.index.jsonl is gone; what was archived there cannot be looked up"
    for _ in range(2):
        ledger = in_folder(tmp_path)
        with structlog.testing.capture_logs() as logged:
            await ledger.open()
        assert list(filter(ledger.was_accepted, FINGERPRINTS)) == FINGERPRINTS[:40]
        await ledger.close()
        (warning,) = (each for each in logged if each["event"] == "archive.index_gone")
        assert warning["files"] == ["2026-11.index.jsonl"]
        assert verify(tmp_path) == [told]
    assert in_language(told, "zh", LEDGER) == "2026-11.index.jsonl 不见了；归档在其中的任务无法查到"
    assert repair(tmp_path, now=lambda: datetime.now(UTC)).not_mended == [told]
    assert verify(tmp_path) == []
    assert known(catch_up(tmp_path, Disk())) == FINGERPRINTS[:40]


def test_what_changes_under_who_asks_is_never_taken_for_a_new_row(tmp_path):
    put(tmp_path, 0, 40)
    rows, path = catch_up(tmp_path, Disk()), tmp_path / "archive" / NAME
    put(tmp_path, 40, 80)
    catch_up(tmp_path, Disk())
    shutil.rmtree(path.parent)
    assert known(rows) == FINGERPRINTS[:40]  # the file it opened is still there for it
    put(tmp_path, 0, 40)
    rows = catch_up(tmp_path, Disk())
    for spoilt in (b"", path.read_bytes().replace(b"a", b"b")):
        path.write_bytes(spoilt)
        with pytest.raises(LedgerDamaged, match="the next start makes it again"):
            known(rows)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (b'"task_id"', b'"task_ie"'),
        (b'"fingerprint"', b'"fingerprinu"'),
        (b'"fingerprint":"', b'"fingerprint":7,"":"'),
        (b"spring", b"spri\xffg"),
    ],
)
async def test_a_start_makes_an_index_again_whatever_cannot_be_read_in_it(folder, written, found):
    tasks = {finished_task(number).task_id: finished_task(number) for number in range(40)}
    put(folder, 0, 40)
    index = next(folder.glob("archive/*.index.jsonl"))
    lines = index.read_bytes().splitlines(keepends=True)
    lines[7] = lines[7].replace(written, found, 1)
    index.write_bytes(b"".join(lines))
    ledger = in_folder(folder)
    await ledger.open()
    assert all(map(ledger.was_accepted, FINGERPRINTS[:40]))
    assert (await ledger.find_all_archived(tasks)).tasks == tasks
    await ledger.close()
    assert verify(folder) == []


def test_an_index_spoilt_under_the_daemon_is_named(tmp_path):
    put(tmp_path, 0, 40)
    index = next(tmp_path.glob("archive/*.index.jsonl"))
    index.write_bytes(index.read_bytes()[:-1] + b"}\n")
    with pytest.raises(LedgerDamaged, match=f"{index.name} is not as it was written"):
        catch_up(tmp_path, Disk())


def test_who_asks_holds_nothing_of_the_rows(tmp_path):
    put(tmp_path, 0, 5_000)
    catch_up(tmp_path, Disk())
    tracemalloc.start()
    try:
        rows = catch_up(tmp_path, Disk())
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(rows) == 5_000
    assert held_bytes < 80_000  # as with one row


async def test_a_disk_without_room_for_the_file_makes_no_row_new(folder):
    ledger = in_folder(folder, ReadOnlyOfOne())
    await ledger.open()
    tasks = [msgspec.structs.replace(finished_task(number), version=1) for number in (1, 2)]
    await ledger.commit(batch_record(tasks[0].batch_id), *tasks, op="a.b")
    with pytest.raises(OSError, match="No space"):
        await ledger.archive_finished(datetime(2027, 1, 15, tzinfo=UTC))
    for _ in range(2):
        assert ledger.index.find_task(tasks[0].task_id) is None
        assert all(map(ledger.was_accepted, FINGERPRINTS[1:3]))
        assert not ledger.was_accepted(FINGERPRINTS[3])
        await ledger.close()
        await ledger.open()
    await ledger.close()
    assert verify(folder) == []


async def test_an_opening_that_failed_can_be_closed_and_tried_again(folder):
    in_the_way = folder / "archive" / "2026-11.index.jsonl"
    in_the_way.mkdir(parents=True)
    ledger = in_folder(folder)
    with pytest.raises(IsADirectoryError):
        await ledger.open()
    await ledger.close()
    in_the_way.rmdir()
    await ledger.open()
    await ledger.commit(batch_record(), op="a.b")
    await ledger.close()
    assert verify(folder) == []
