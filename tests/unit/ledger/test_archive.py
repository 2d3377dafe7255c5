"""The archive of finished tasks: what is put there is found there, whatever a crash left behind."""

from datetime import UTC, datetime

import msgspec
import pytest

from daemon.words.retelling import LEDGER, in_language
from ledger.jsondir import archive
from ledger.jsondir.archive_mending import mend_indexes, unindexed_tasks
from ledger.jsondir.check import verify
from ledger.jsondir.files import Disk
from ledger.jsondir.repair import repair
from tests.bench.ledger_records import finished_task
from tests.unit.ledger.conftest import in_folder


def test_a_task_is_found_wherever_its_entry_lies_in_a_long_index(tmp_path):
    tasks = [finished_task(number) for number in range(1_000)]
    for first in (0, 400):
        archive.put(tmp_path, Disk(), tasks[first : first + 400])
    archive.put(tmp_path, Disk(), tasks[800:])
    for task in (*tasks[::97], tasks[-1]):
        assert archive.find(tmp_path, task.task_id) == task
        assert archive.row(tmp_path, task.row_id) == [task]
    assert archive.find(tmp_path, "img_20261121_00000") is None
    assert list(archive.every_task(tmp_path)) == tasks
    assert list(archive.fingerprints(tmp_path)) == [task.fingerprint for task in tasks]


def test_an_entry_that_a_crash_left_torn_does_not_count_and_the_next_writer_cuts_it_off(tmp_path):
    tasks = [finished_task(number) for number in range(4)]
    archive.put(tmp_path, Disk(), tasks[:2])
    index = next(tmp_path.glob("archive/*.index.jsonl"))
    whole = index.read_bytes()
    archive.put(tmp_path, Disk(), tasks[2:3])
    index.write_bytes(index.read_bytes()[:-9])
    assert list(archive.fingerprints(tmp_path)) == [task.fingerprint for task in tasks[:2]]
    assert archive.find(tmp_path, tasks[2].task_id) is None
    assert list(archive.every_task(tmp_path)) == tasks[:2]
    archive.put(tmp_path, Disk(), tasks[3:])
    assert index.read_bytes().startswith(whole)
    assert list(archive.every_task(tmp_path)) == [*tasks[:2], tasks[3]]
    assert archive.find(tmp_path, tasks[3].task_id) == tasks[3]


@pytest.mark.parametrize("behind", [b"", b"\x1f\x8b\x08 torn"])
def test_an_index_that_is_gone_is_made_again_from_what_it_tells_of(tmp_path, behind):
    tasks = [finished_task(number) for number in range(6)]
    for first in (0, 2):
        archive.put(tmp_path, Disk(), tasks[first : first + 2])
    index = next(tmp_path.glob("archive/*.index.jsonl"))
    whole = index.read_bytes()
    index.unlink()
    with (tmp_path / "archive" / "2026-11.jsonl.gz").open("ab") as content:
        content.write(behind)
    archive.put(tmp_path, Disk(), tasks[4:])
    assert index.read_bytes().startswith(whole)
    assert list(archive.every_task(tmp_path)) == tasks
    assert [archive.find(tmp_path, task.task_id) for task in tasks] == tasks


def test_what_is_put_where_the_content_is_gone_or_shorter_is_found(tmp_path):
    tasks = [finished_task(number) for number in range(6)]
    archive.put(tmp_path, Disk(), tasks[:2])
    content = tmp_path / "archive" / "2026-11.jsonl.gz"
    content.write_bytes(content.read_bytes()[:100])
    archive.put(tmp_path, Disk(), tasks[2:4])
    assert [archive.find(tmp_path, task.task_id) for task in tasks[2:4]] == tasks[2:4]
    content.unlink()
    archive.put(tmp_path, Disk(), tasks[4:])
    assert [archive.find(tmp_path, task.task_id) for task in tasks[4:]] == tasks[4:]


@pytest.mark.parametrize("spoil", [None, b"\n", b'"'])
async def test_a_start_knows_the_archived_rows_whatever_became_of_the_index(folder, spoil):
    tasks = [finished_task(number) for number in range(300)]
    for first in (0, 200):
        archive.put(folder, Disk(), tasks[first : first + 200])
    index = next(folder.glob("archive/*.index.jsonl"))
    whole = index.read_bytes()
    if spoil is None:
        index.unlink()
    else:
        index.write_bytes(whole[:5000] + spoil + whole[5001:])
    ledger = in_folder(folder)
    await ledger.open()
    assert all(ledger.was_accepted(task.fingerprint) for task in tasks)
    assert await ledger.find_archived(tasks[7].task_id) == tasks[7]
    await ledger.close()
    assert index.read_bytes() == whole
    assert len(list(folder.glob("archive/*.index.jsonl.corrupt-*"))) == (spoil is not None)
    assert verify(folder) == []


def test_a_flipped_byte_of_the_archive_is_told_with_its_place_in_both_languages(tmp_path):
    archive.put(tmp_path, Disk(), [finished_task(number) for number in range(3)])
    content = tmp_path / "archive" / "2026-11.jsonl.gz"
    whole = content.read_bytes()
    name, end = content.name, len(whole) - 1
    for place in (0, 12, len(whole) // 2, end - 6):
        content.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        assert verify(tmp_path) == [f"{name}: bytes 0-{end} are damaged"]
    content.write_bytes(whole[:-20])
    (problem,) = verify(tmp_path)
    assert in_language(problem, "zh", LEDGER) == f"{name}：第 0-{end} 字节已损坏"


@pytest.mark.parametrize("mended_by", ["start", "repair"])
@pytest.mark.parametrize("lacking", [range(6), [0], [1], [3], [5]])
async def test_what_an_index_lacks_is_told_and_made_again(folder, lacking, mended_by):
    tasks = [finished_task(number) for number in range(6)]
    for first in (0, 2, 4):
        archive.put(folder, Disk(), tasks[first : first + 2])
    index = folder / "archive" / "2026-11.index.jsonl"
    whole = index.read_bytes()
    lines = whole.splitlines(keepends=True)
    index.write_bytes(b"".join(line for n, line in enumerate(lines) if n not in lacking))
    if len(lacking) == len(lines):
        index.unlink()
    (problem,) = verify(folder)
    count = 2 if len(lacking) == 1 else 6  # those of its member
    told = f"{index.name} does not tell of {count} tasks that are in 2026-11.jsonl.gz"
    assert problem == told
    assert told != in_language(problem, "zh", LEDGER)
    if mended_by == "repair":
        assert repair(folder, now=lambda: datetime.now(UTC)).made_again == [index.name]
    else:
        ledger = in_folder(folder)
        await ledger.open()
        assert all(ledger.was_accepted(task.fingerprint) for task in tasks)
        await ledger.close()
    assert index.read_bytes() == whole
    assert verify(folder) == []


def test_a_damaged_member_costs_a_new_index_only_itself(tmp_path):
    tasks = [finished_task(number) for number in range(6)]
    for first in (0, 2, 4):
        archive.put(tmp_path, Disk(), tasks[first : first + 2])
    content, index = tmp_path / "archive/2026-11.jsonl.gz", next(tmp_path.glob("archive/*.index*"))
    lines, data = index.read_bytes().splitlines(keepends=True), bytearray(content.read_bytes())
    data[30] ^= 0xFF
    content.write_bytes(data)
    index.write_bytes(b"".join(lines[:4]))
    assert mend_indexes(tmp_path, Disk(), "now", ())
    assert list(archive.fingerprints(tmp_path)) == [task.fingerprint for task in tasks]
    index.unlink()
    assert mend_indexes(tmp_path, Disk(), "now", ())
    assert list(archive.every_task(tmp_path)) == tasks[2:]


def test_nothing_is_unpacked_for_an_index_that_fits(tmp_path):
    for first in (0, 3):
        archive.put(tmp_path, Disk(), [finished_task(first + number) for number in range(3)])
    content = tmp_path / "archive" / "2026-11.jsonl.gz"
    content.write_bytes(bytes(content.stat().st_size))  # nobody looks
    assert mend_indexes(tmp_path, Disk(), "now", ()) == []
    assert list(unindexed_tasks(content)) == []


async def test_a_member_that_a_crash_left_unindexed_is_no_problem_while_the_state_has_its_tasks(
    folder,
):
    tasks = [msgspec.structs.replace(finished_task(number), version=1) for number in range(4)]
    ledger = in_folder(folder)
    await ledger.open()
    await ledger.commit(*tasks[2:], op="a.b")
    await ledger.close()
    archive.put(folder, Disk(), tasks[:2])
    index = folder / "archive" / "2026-11.index.jsonl"
    whole = index.read_bytes()
    archive.put(folder, Disk(), tasks[2:])
    index.write_bytes(whole)
    assert not [each for each in verify(folder) if index.name in each]
    ledger = in_folder(folder)
    await ledger.open()
    await ledger.close()
    assert index.read_bytes() == whole
