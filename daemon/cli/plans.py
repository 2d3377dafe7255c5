"""What verbs write: planned here only when no daemon does it, and imported only then."""

from functools import partial
from typing import TYPE_CHECKING

from config.settings import Settings
from daemon.actions import batches, servers, tasks
from daemon.actions.plan import Plan
from daemon.actions.rerunning import Wish, rerun
from daemon.cli.batch_names import batch_meant
from daemon.intake.places import content_path
from daemon.intake.records import new_batch_id
from ledger.steps import at_once

if TYPE_CHECKING:
    from daemon.cli.batch_verbs import Options
    from ledger.direct import DirectLedger


def retry(
    ledger: "DirectLedger", task_id: str, settings: Settings, *, copy_files: bool, at: str
) -> Plan:
    """Plan a new task for the row of *task_id*; raises ActionError, UnknownRecord, as all here."""
    return tasks.retry(
        ledger,
        task_id,
        copy_files=copy_files,
        at=at,
        input_path=partial(content_path, settings.inputs.path),
        output_path=settings.state_dir.joinpath,
    )


def cancel(ledger: "DirectLedger", task_id: str, *, at: str) -> Plan:
    """Plan the end of a task."""
    return tasks.cancel(ledger, task_id, at=at)


def server(ledger: "DirectLedger", name: str, verb: str, settings: Settings, *, at: str) -> Plan:
    """Plan *verb*, drain or resume, of a server."""
    act = servers.drain if verb == "drain" else servers.resume
    return act(ledger, name, at=at, known=[each.name for each in settings.servers])


def batch(
    ledger: "DirectLedger",
    given: str,
    verb: str,
    options: "Options",
    settings: Settings,
    *,
    at: str,
) -> Plan:
    """Plan *verb* of the batch that *given* means."""
    batch_id = batch_meant(ledger.batches(), given)
    input_path = partial(content_path, settings.inputs.path)
    output_path = settings.state_dir.joinpath
    match verb:
        case "pause":
            return batches.pause(ledger, batch_id, at=at)
        case "resume":
            return batches.resume(ledger, batch_id, at=at)
        case "stop":
            return batches.stop(ledger, batch_id, interrupt=options.interrupt, at=at)
        case "rerun":
            wish = Wish(
                batch_id=new_batch_id(batch_id.rpartition("-")[0]),
                at=at,
                stage=options.stage,
                changes=options.changes,
                new_seed=options.new_seed,
            )
            return at_once(
                rerun(ledger, batch_id, wish, input_path=input_path, output_path=output_path)
            )
        case _:
            return at_once(
                tasks.retry_failed(
                    ledger, batch_id, at=at, input_path=input_path, output_path=output_path
                )
            )
