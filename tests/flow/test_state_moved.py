"""A state folder that is moved away while rows run costs none of them, and is not made anew."""

from pathlib import Path

from daemon.comfy.simulator import Simulator
from ledger.status import Stage
from tests.fakes.waiting import until
from tests.fakes.world import TWO_ROWS, World, finish


async def test_rows_go_on_when_it_is_back_where_it_was(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=0.2) as simulator:
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", [{**TWO_ROWS[0], "product_name": f"p{n}"} for n in range(12)])
        daemon = await world.daemon("run")
        await until(lambda: world.stages()[Stage.DONE])
        away = world.state.rename(world.folder / "away")
        code, log = await finish(daemon, 15)
        assert (code, f"The ledger's folder {world.ledger} was moved" in log) == (1, True), log
        assert not world.state.exists()
        away.rename(world.state)
        stages = world.stages()
        assert not stages[Stage.FAILED], stages
        assert stages[Stage.WAITING] > 0, stages
        assert world.verify() == []
        assert await world.run_here() == 0
        assert world.stages() == {Stage.DONE: 12}
        assert set(simulator.executions.per_task().values()) == {1}
