"""What can be done to a batch: each verb with its options, and as the daemon's door knows it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from daemon.cli.acting import Request, perform, under_the_lock
from daemon.cli.batch_names import batch_meant
from daemon.cli.invocation import Invocation
from daemon.cli.refusal import Refusal
from daemon.web.batch_documents import BatchesDocument
from ledger.task import Json

if TYPE_CHECKING:
    from daemon.actions.plan import Plan
    from daemon.cli.daemon_client import DaemonClient
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


def do(invocation: Invocation, given: str, verb: str, options: Options) -> Mapping[str, Json]:
    """Do *verb* to the batch that *given* means and return the answer; see ``perform``."""

    def plan(ledger: "DirectLedger", at: str) -> "Plan":
        from daemon.cli import plans  # noqa: PLC0415 - mostly a daemon does it

        return plans.batch(ledger, given, verb, options, invocation.settings, at=at)

    def through(daemon: "DaemonClient") -> Mapping[str, Json]:
        try:
            return _request(verb, options, given).send_to(daemon)
        except Refusal as error:
            if error.code not in ("unknown_batch", "unknown_path"):  # mostly it is an id
                raise
        known = daemon.get("/api/batches", BatchesDocument).batches
        return _request(verb, options, batch_meant(known, given)).send_to(daemon)

    return perform(invocation, lambda: under_the_lock(invocation, plan), through)


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
