"""The services that bring waiting rows to servers: a watch and a lane for each, one that holds."""

from daemon.dispatch.holding import Holding
from daemon.dispatch.lane import Lane
from daemon.dispatch.lanes import Lanes
from daemon.dispatch.pictures import TaskFiles
from daemon.dispatch.ready import ReadyRows
from daemon.dispatch.servers import HealthWatch
from daemon.dispatch.submission import Submission
from daemon.ground import Ground
from daemon.running import Service


async def make_dispatch_work(ground: Ground) -> list[Service]:
    """Return the services, wired to the ledger's feed and to the reload of workflows."""
    ledger, clock, states = ground.ledger, ground.clock, ground.states
    ready = _ready_rows(ground)
    lanes = _lanes(ground, ready)
    together = Lanes(ready, lanes)
    ledger.subscribe(together.follow)
    await ready.load()

    watches = [HealthWatch(state, clock, ready, together.wake) for state in states]

    def replaced() -> None:
        for watch in watches:
            watch.readmit_soon()
        together.wake()

    ground.workflows.replaced = replaced
    return [*watches, *lanes, Holding(ledger, ready, states, clock)]


def _ready_rows(ground: Ground) -> ReadyRows:
    settings, states = ground.settings.dispatch, ground.states
    return ReadyRows(
        ground.ledger,
        ground.clock,
        stage_order=settings.order == "stage",
        affinity=settings.affinity,
        takes_work=lambda name: any(state.takes_work for state in states if state.name == name),
    )


def _lanes(ground: Ground, ready: ReadyRows) -> list[Lane]:
    ledger, clock, workflows = ground.ledger, ground.clock, ground.workflows
    files = TaskFiles(input_path=ground.contents.path_of, output_path=ground.folder.absolute)
    submission = Submission(ledger, clock, workflows.settings, workflows.templates, files)
    return [
        Lane(
            state,
            ledger=ledger,
            ready=ready,
            submission=submission,
            settlement=ground.settlement,
            streaks=ground.streaks,
            clock=clock,
        )
        for state in ground.states
    ]
