"""The archive of finished tasks: what is put there is found there, whatever a crash left behind."""

from ledger.jsondir import archive
from ledger.jsondir.files import Disk
from tests.bench.ledger_records import finished_task


def test_a_task_is_found_wherever_its_entry_lies_in_a_long_index(tmp_path):
    tasks = [finished_task(number) for number in range(1_000)]
    for first in (0, 400):
        archive.put(tmp_path, Disk(), tasks[first : first + 400])
    archive.put(tmp_path, Disk(), tasks[800:])
    for task in (*tasks[::97], tasks[-1]):
        assert archive.find(tmp_path, task.task_id) == task
        assert archive.family(tmp_path, task.row_id, task.workflow_type) == [task]
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
