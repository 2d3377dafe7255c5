"""Each output gets a path of its own, in the transaction that says its prompt has ended."""

from pathlib import Path

from daemon.collect.paths import OutputFolder, OutputPaths
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import OutputFile, Task
from tests.fakes.records import AT, batch_record, task_record

FOLDER = OutputFolder(
    path=Path("/state/outputs"), state_dir=Path("/state"), name="{product_name}_{index}{ext}"
)
MADE = OutputFile(node="40", filename="40_00001_.png", subfolder="x", type="output")
PROVEN = OutputFile(
    node="40", filename="a.png", subfolder="x", type="output", path="outputs/a.png", sha256="00"
)


def collecting(number: int, *outputs: OutputFile) -> Task:
    return task_record(number, Stage.COLLECTING, product_name="壶", outputs=outputs)


def paths_of(task: Task) -> list[str | None]:
    return [output.path for output in task.outputs]


async def opened(*tasks: Task) -> Ledger:
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    await ledger.commit(batch_record(), *tasks, op="rows.accepted")
    return ledger


async def test_two_tasks_never_choose_the_same_path() -> None:
    paths = OutputPaths(FOLDER, await opened())
    first, second = (paths.name(collecting(n, MADE)) for n in (1, 2))
    assert paths_of(first) == ["outputs/壶_1.png"]
    assert paths_of(second) == ["outputs/壶_1_img_20261121_000002-0.png"]
    assert paths_of(paths.name(collecting(1, MADE))) == paths_of(first)


async def test_a_path_chosen_before_a_restart_is_still_taken() -> None:
    named = collecting(1, OutputFile(**{**as_dict(MADE), "path": "outputs/壶_1.png"}))
    paths = OutputPaths(FOLDER, await opened(named))
    assert paths_of(paths.name(collecting(2, MADE))) != ["outputs/壶_1.png"]


async def test_a_path_is_free_again_when_its_task_has_left() -> None:
    task = collecting(1, MADE)
    ledger = await opened(task)
    paths = OutputPaths(FOLDER, ledger)
    named = paths.name(task)
    done = named.moved(Stage.DONE, at=AT)
    await ledger.commit(done, op="task.done")
    assert paths_of(paths.name(collecting(2, MADE))) == paths_of(named)


async def test_only_what_is_not_proven_gets_another_name() -> None:
    paths = OutputPaths(FOLDER, await opened())
    named = paths.name(collecting(1, PROVEN, MADE))
    assert paths_of(named) == ["outputs/a.png", "outputs/壶_2.png"]
    assert paths_of(paths.name_otherwise(named)) == [
        "outputs/a.png",
        "outputs/壶_2_img_20261121_000001-0.png",
    ]


def as_dict(output: OutputFile) -> dict[str, str]:
    return {name: getattr(output, name) for name in ("node", "filename", "subfolder", "type")}
