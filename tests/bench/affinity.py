"""What affinity saves: model switches of mixed rows against those of their order of arrival.

Time runs faster for daemon and simulator alike: a switch costs 5 of its seconds, a job 2.
"""

import asyncio
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from random import Random

from daemon import logs
from daemon.app import run as run_app
from daemon.comfy.simulator import Simulator
from daemon.comfy.simulator.executions import read_executions
from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.simulators import seconds_between
from tests.fakes.clock import QuickClock
from tests.fakes.world import SMALL_GRAPH, World, small_rows, small_world

SPEED = 40
SWITCH_SECONDS, JOB_SECONDS = 5.0, 2.0
OTHER = "小图一张"
_OTHER_GRAPH = SMALL_GRAPH.replace(
    '"40"',
    '"20": {"class_type": "RepeatImageBatch", "inputs": {"image": ["10", 0], "amount": 1}},\n "40"',
).replace('"images": ["10", 0]', '"images": ["20", 0]')
_OTHER_TYPE = """
[workflows."{name}"]
template = "{template}"
[dispatch]
affinity = {affinity}
"""


def _measure(folder: Path, size: Size) -> Mapping[str, float]:
    rows = small_rows(size.of(200, 4))
    luck = Random(4)
    for row in rows:
        if luck.random() < 0.5:
            row["workflow_type"] = OTHER
    speed = SPEED if size is Size.FULL else 200
    arrival, in_turn = _run(folder / "arrival", rows, speed, affinity=False)
    together, grouped = _run(folder / "affinity", rows, speed, affinity=True)
    return {
        "switches in the order of arrival": arrival,
        "switches with affinity": together,
        "switches / those of arrival": together / arrival,
        "longest wait of a row / in the order of arrival": max(
            grouped[number] / in_turn[number] for number in in_turn
        ),
        "time for all / in the order of arrival": max(grouped.values()) / max(in_turn.values()),
    }


def _run(
    folder: Path, rows: list[dict[str, str]], speed: float, *, affinity: bool
) -> tuple[int, dict[str, float]]:
    """Return the number of switches, and when each row's run ended, counted from the first."""
    folder.mkdir()
    template = folder / "other.json"
    template.write_text(_OTHER_GRAPH, encoding="utf-8")
    clock = QuickClock(speed)

    async def work() -> World:
        async with Simulator(
            folder / "comfy",
            seconds_per_job=JOB_SECONDS,
            model_switch_seconds=SWITCH_SECONDS,
            clock=clock,
        ) as simulator:
            on = "true" if affinity else "false"
            more = _OTHER_TYPE.format(name=OTHER, template=template, affinity=on)
            world = small_world(folder / "world", simulator.url, max_in_flight=2, more=more)
            world.drop("rows", rows)
            logs.set_up(world.settings().log, (folder / "log").open("w"))
            assert await run_app(world.settings(), once=True, clock=clock) == 0
            return world

    tasks = {task.task_id: task for task in asyncio.run(work()).tasks()}
    runs = read_executions(folder / "comfy")
    types = [tasks[run.task_id or ""].workflow_type for run in runs]
    ended = {
        str(tasks[run.task_id or ""].row_number): seconds_between(runs[0].started_at, run.ended_at)
        for run in runs
    }
    return 1 + sum(one != other for one, other in pairwise(types)), ended


BENCHMARKS = (
    Benchmark(
        name="affinity",
        what="200 mixed rows, 5 s for each change of models: switches and waiting",
        measure=_measure,
        targets=(
            Target(figure="switches / those of arrival", at_most=0.1),
            Target(figure="longest wait of a row / in the order of arrival", at_most=2.0),
        ),
        runs=3,
    ),
)
