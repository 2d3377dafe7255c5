"""Records of the size they have in use, and ledgers full of them, for the benchmarks."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ledger.entry import as_json, transaction_of
from ledger.jsondir import archive
from ledger.jsondir.archived_rows import catch_up
from ledger.jsondir.composition import Composition
from ledger.jsondir.files import Disk
from ledger.jsondir.journal import encode, journal_name
from ledger.jsondir.snapshot import CURRENT, Changes
from ledger.shelf import encode_task
from ledger.status import STATUS_OF, Stage
from ledger.task import InputFile, Metadata, OutputFile, Source, Task
from ledger.timestamps import to_timestamp
from tests.fakes.records import batch_record

NOW = to_timestamp(datetime(2026, 11, 21, 10, tzinfo=UTC))
BATCH = "spring-k3w9qa"
PROMPT = "一位模特穿着产品站在花园里, soft light"


def waiting_task(number: int) -> Task:
    """Return a task as it is accepted: about 1 KB of JSON."""
    task_id = f"img_20261121_{number:06}"
    digest = hashlib.sha256(task_id.encode()).hexdigest()
    return Task(
        task_id=task_id,
        row_id=f"{BATCH}:{number}",
        batch_id=BATCH,
        row_number=number,
        product_name=f"产品{number}",
        model_name=f"模特{number % 20}",
        workflow_type="图片合成",
        created_at=NOW,
        updated_at=NOW,
        root_task_id=task_id,
        row={"prompt": PROMPT},
        inputs={"product_image": InputFile(name="product.png", sha256=digest, size_bytes=123_456)},
        metadata=Metadata(
            source=Source(kind="inbox", name="spring.csv", line=number, fingerprint=digest)
        ),
    )


def finished_task(number: int) -> Task:
    """Return a task that is done: about 1.6 KB of JSON."""
    task = waiting_task(number)
    path = f"outputs/{BATCH}/{number:04}_图片合成_1.png"
    output = OutputFile(
        node="40",
        filename=f"{task.task_id}_00001_.png",
        subfolder=f"rowkeeper/{task.task_id}-1",
        type="output",
        path=path,
        sha256=task.inputs["product_image"].sha256,
        size_bytes=1_234_567,
    )
    return task.changed(
        at=NOW,
        status=STATUS_OF[Stage.DONE],
        stage=Stage.DONE,
        started_at=NOW,
        finished_at=NOW,
        processed_at=NOW,
        comfyui_task_id=f"9b2d1c4e-1111-4222-8333-{number:012}",
        server="gpu-a",
        attempt=1,
        parameters={"seed": 123_456_789 + number},
        outputs=(output,),
        output_files=(path,),
        gpu_seconds=12.5,
    )


def collecting_task(number: int) -> Task:
    """Return a task just before its end: open, and as large as a finished one."""
    stage = Stage.COLLECTING
    return msgspec.structs.replace(
        finished_task(number), stage=stage, status=STATUS_OF[stage], finished_at=None
    )


def write_ledger(
    folder: Path, tasks: int, *, collecting_tasks: int = 0, waiting_tasks: int = 0
) -> None:
    """Make a ledger of so many tasks without a journal: the first are open, the last ones wait."""
    disk = Disk()
    disk.make_folder(folder)
    changes = Changes(whole=True)
    changes.batches[BATCH] = as_json(batch_record(BATCH))
    for number in range(1, tasks + 1):
        make = collecting_task if number <= collecting_tasks else finished_task
        if number > tasks - waiting_tasks:
            make = waiting_task
        task = make(number)
        changes.tasks[task.task_id] = encode_task(task)
    pieces = Composition(changes, tasks, NOW).anew()
    disk.write_whole("snapshot", folder / CURRENT, pieces)
    disk.take_place("snapshot", folder / CURRENT)
    (folder / journal_name(tasks + 1)).touch()


def add_journal(folder: Path, tasks: int, lines: int) -> None:
    """Append *lines* changes of the newest tasks of a ledger that ``write_ledger`` made."""
    with (folder / journal_name(tasks + 1)).open("ab") as journal:
        for seq, task in enumerate(_changes(tasks, lines), tasks + 1):
            change = transaction_of(task, op="task.published")
            journal.writelines(encode(change, seq, NOW))


def add_archive(folder: Path, tasks: int) -> None:
    """Put so many other finished tasks into the archive."""
    for first in range(0, tasks, 1000):
        numbers = range(first, min(first + 1000, tasks))
        archive.put(folder, Disk(), [finished_task(500_000 + number) for number in numbers])
    catch_up(folder, Disk())  # as whoever archives does


def _changes(tasks: int, lines: int) -> Iterator[Task]:
    touched = max(1, min(tasks, lines) // 5)
    known = {}
    for number in range(lines):
        place = tasks - number % touched
        known[place] = known.get(place, finished_task(place)).changed(at=NOW)
        yield known[place]
