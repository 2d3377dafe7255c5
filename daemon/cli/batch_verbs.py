"""What can be done to a batch: each verb as a plan, and as the daemon's HTTP door knows it."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from config.settings import Settings
from daemon.actions import batches, tasks
from daemon.actions.plan import Plan
from daemon.actions.rerunning import Wish, rerun
from daemon.cli.acting import Request, act
from daemon.cli.batch_names import batch_meant
from daemon.cli.invocation import Invocation
from daemon.intake.places import content_path
from daemon.intake.records import new_batch_id
from ledger.jsondir.reader import read_state
from ledger.steps import at_once
from ledger.task import Json

if TYPE_CHECKING:
    from ledger.direct import DirectLedger


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said beside a verb."""

    interrupt: bool = False
    stage: int | None = None
    changes: Mapping[str, Json] = {}
    new_seed: bool = False

    def strange_to(self, verb: str | None) -> list[str]:
        """Return the options given that *verb* has no use for."""
        of_rerun = {
            "--stage": self.stage is not None,
            "--set": bool(self.changes),
            "--new-seed": self.new_seed,
        }
        given = {"--interrupt": (self.interrupt, "stop")}
        given |= {name: (is_given, "rerun") for name, is_given in of_rerun.items()}
        return [name for name, (is_given, owner) in given.items() if is_given and owner != verb]

    def wish(self, batch_id: str, at: str) -> Wish:
        """Return what a rerun of the batch is to be like."""
        return Wish(
            batch_id=new_batch_id(batch_id.rpartition("-")[0]),
            at=at,
            stage=self.stage,
            changes=self.changes,
            new_seed=self.new_seed,
        )


def do(invocation: Invocation, given: str, verb: str, options: Options) -> Mapping[str, Json]:
    """Do *verb* to the batch that *given* means and return the answer; see ``perform``."""

    def plan(ledger: "DirectLedger", at: str) -> Plan:
        batch_id = batch_meant(ledger.batches(), given)
        return _plan(ledger, batch_id, at, verb=verb, options=options, settings=settings)

    def request() -> Request:
        batches_there = list(read_state(settings.ledger.path).batches.values())
        return _request(verb, options, batch_meant(batches_there, given))

    settings = invocation.settings
    return act(invocation, plan, request)


def _plan(
    ledger: "DirectLedger",
    batch_id: str,
    at: str,
    *,
    verb: str,
    options: Options,
    settings: Settings,
) -> Plan:
    """Return what *verb* would write; raises ActionError, UnknownRecord."""
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
            wish = options.wish(batch_id, at)
            return at_once(
                rerun(ledger, batch_id, wish, input_path=input_path, output_path=output_path)
            )
        case _:
            return tasks.retry_failed(
                ledger, batch_id, at=at, input_path=input_path, output_path=output_path
            )


def _request(verb: str, options: Options, batch_id: str) -> Request:
    """Return the verb as an HTTP request."""
    path = f"/api/batches/{quote(batch_id, safe='')}/{verb}"
    match verb:
        case "stop":
            return Request(path, {"interrupt": options.interrupt})
        case "rerun":
            body: dict[str, Json] = {"stage": options.stage, "new_seed": options.new_seed}
            return Request(path, body | {"changes": dict(options.changes)})
        case _:
            return Request(path)
