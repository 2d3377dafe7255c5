"""Recovery of stuck tasks: adopts what has ended, resets what is really lost, forces on demand.

Who calls (HTTP, command line, sweep) is named in the journal. Reading is ``diagnosis``.
"""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
import structlog

from config.settings import Server, Workflow
from daemon.clock import Clock
from daemon.comfy.server import AnswerLost, Unreachable, WorkflowServer
from daemon.logs import about
from daemon.settle.failure import waiting_again
from daemon.settle.settlement import Settlement, ticket_of
from daemon.upkeep.backup import LedgerBackups
from daemon.upkeep.diagnosis import StatusCheck, answered
from daemon.upkeep.findings import Finding, Limits, Reason
from daemon.upkeep.inspection import ProgressAge, diagnose, no_news
from daemon.upkeep.remedy import evidence_of, is_forced, is_lost, timeout_marks
from daemon.words import Words
from ledger.entry import Transaction
from ledger.errors import Conflict
from ledger.ledger import Ledger
from ledger.status import IN_FLIGHT_STAGES, Stage
from ledger.task import Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: How long a recovery waits for cancelled prompts to end, beyond the server's settling time; what
#: ends later is reset then, by the follower.
ENDING_SECONDS = 12.0
_LOOK_SECONDS = 0.5
#: Changes that put a task back because it was lost, or because that was asked for.
_RESETS = frozenset({"task.run_again", "task.as_requested", "task.reset"})


class RecoveryResult(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a recovery, in the fields of the contract."""

    checked_tasks: int
    reset_tasks: int
    reset_task_ids: list[str]
    message: str


class StuckTasks:
    """Finds and recovers tasks in process that are not; one recovery at a time.

    *followed*: a ``Follower`` runs beside it and carries out what is requested; without one the
    recovery does so itself.
    """

    def __init__(
        self,
        ledger: Ledger,
        servers: Mapping[str, tuple[WorkflowServer, Server]],
        settlement: Settlement,
        backups: LedgerBackups,
        clock: Clock,
        *,
        workflows: Mapping[str, Workflow],
        default_minutes: float,
        followed: bool = True,
        progress_age_seconds: ProgressAge = no_news,
    ) -> None:
        self._ledger = ledger
        self._servers = servers
        self._settlement = settlement
        self._backups = backups
        self._clock = clock
        self._workflows = workflows
        self._default_minutes = default_minutes
        self._followed = followed
        self._progress_age = progress_age_seconds
        self._one_at_a_time = asyncio.Lock()
        self.stuck = 0  # as last seen, by the settings' own limits
        self.resets = 0  # since the start

    async def check(self, words: Words, *, max_runtime_minutes: float | None = None) -> StatusCheck:
        """Return how every task in process really stands; changes nothing."""
        return answered(self._ledger, await self._diagnose(max_runtime_minutes), words)

    async def recover(
        self,
        words: Words,
        *,
        actor: str,
        force_reset: bool = False,
        spare_healthy: bool = False,
        max_runtime_minutes: float | None = None,
    ) -> RecoveryResult:
        """Set right what is stuck and return what was reset; backs the ledger up before.

        What has ended is adopted, what no server knows is reset. With *force_reset* also what its
        server executes or queues (with *spare_healthy* only what is stuck there): it is cancelled
        by id, and reset when the server shows the end; that may come after the answer. Called
        again meanwhile, the second call waits and then answers what is left; attempts that began
        after it was made are not forced. Raises LedgerError, OSError when no backup can be made;
        then nothing was changed. A crash leaves requested resets, which the next start carries out.
        """
        asked_about = {task.comfyui_task_id for task in self._ledger.in_stage(*IN_FLIGHT_STAGES)}
        async with self._one_at_a_time:
            findings = await self._diagnose(max_runtime_minutes)
            lost = [each for each in findings if is_lost(each)]
            forced = [
                each
                for each in findings
                if force_reset
                and is_forced(each, spare_healthy=spare_healthy)
                and each.task.comfyui_task_id in asked_about
            ]
            treated = [*lost, *forced]
            resets = _Resets({each.task.task_id for each in treated})
            if treated:
                await asyncio.to_thread(self._backups.make, self._clock.now())
                unsubscribe = self._ledger.subscribe(resets.follow)
                try:
                    for finding in forced:
                        await self._request(finding, actor, words)
                    await self._settle(treated, actor)
                finally:
                    unsubscribe()
            self._log(treated, resets.task_ids, actor)
            self.resets += len(resets.task_ids)
            return self._answer(findings, treated, resets.task_ids, words)

    async def _diagnose(self, asked_minutes: float | None) -> list[Finding]:
        limits = Limits(
            workflows=self._workflows,
            default_minutes=self._default_minutes,
            asked_minutes=asked_minutes,
        )
        servers = {name: server for name, (server, _) in self._servers.items()}
        findings = await diagnose(self._ledger, servers, self._clock, limits, self._progress_age)
        if asked_minutes is None:
            self.stuck = sum(1 for each in findings if each.reason is not None)
        return findings

    async def _request(self, finding: Finding, actor: str, words: Words) -> None:
        """Write down that the task is to be reset; without a server to ask it is reset at once."""
        task = self._ledger.task(finding.task.task_id)
        if task.stage not in IN_FLIGHT_STAGES or task.requested is not None:
            return  # it moved on, or an earlier intent stands
        at = to_timestamp(self._clock.now())
        if finding.reason is Reason.UNKNOWN_SERVER:
            changed, op = waiting_again(task, at=at), "task.reset"
        else:
            said = timeout_marks(finding, words) if finding.reason is Reason.OVER_LIMIT else {}
            changed = task.changed(at=at, requested="reset", requested_by=actor, **said)
            op = "task.reset_requested"
        try:
            await self._ledger.commit(
                changed,
                op=op,
                actor=actor,
                reason=finding.sentence(words) or "force_reset",
                evidence=evidence_of(finding),
            )
        except Conflict:  # somebody with newer knowledge was first
            log.debug("recovery.overtaken", **about(task))

    async def _settle(self, findings: Sequence[Finding], actor: str) -> None:
        by_server: dict[str, list[Task]] = {}
        for finding in findings:
            by_server.setdefault(finding.task.server or "", []).append(finding.task)
        await asyncio.gather(
            *(
                self._settle_on(name, tasks, actor)
                for name, tasks in by_server.items()
                if name in self._servers
            )
        )

    async def _settle_on(self, name: str, tasks: Sequence[Task], actor: str) -> None:
        """Settle the tasks of one server until they are, or for as long as anybody may wait."""
        server, settings = self._servers[name]
        deadline = self._clock.monotonic() + settings.settle_seconds + ENDING_SECONDS
        try:
            if not self._followed:
                await self._cancel(server, tasks)
            while left := self._still_inside(tasks):
                settled = await self._settlement.settle(server, settings, left, actor=actor)
                again_seconds = settled.look_again_in_seconds
                waits = again_seconds is not None or any(task.requested for task in left)
                if not waits or self._clock.monotonic() > deadline:
                    return
                await self._clock.pause(min(again_seconds or _LOOK_SECONDS, _LOOK_SECONDS))
        except (Unreachable, AnswerLost) as error:
            log.warning("recovery.postponed", server=name, tasks=len(tasks), error=str(error))

    async def _cancel(self, server: WorkflowServer, tasks: Sequence[Task]) -> None:
        for task in self._still_inside(tasks):
            if task.requested is not None:
                await server.cancel(ticket_of(task))

    def _still_inside(self, tasks: Sequence[Task]) -> list[Task]:
        """Return those whose attempt has not been settled yet, as they stand."""
        now = [self._ledger.task(task.task_id) for task in tasks]
        return [
            task
            for task, before in zip(now, tasks, strict=True)
            if task.stage in IN_FLIGHT_STAGES and task.attempt == before.attempt
        ]

    def _log(self, findings: Sequence[Finding], reset: Sequence[str], actor: str) -> None:
        for finding in findings:
            task = self._ledger.task(finding.task.task_id)
            log.warning(
                "task.recovered",
                task=task.task_id,
                batch=task.batch_id,
                server=finding.task.server,
                actor=actor,
                reason=finding.reason or "force_reset",
                stage=task.stage.value,
                reset=task.task_id in reset,
            )

    def _answer(
        self,
        findings: Sequence[Finding],
        treated: Sequence[Finding],
        reset: Sequence[str],
        words: Words,
    ) -> RecoveryResult:
        inside = {task.task_id for task in self._still_inside([each.task for each in treated])}
        ended = {each.task.task_id for each in treated} - inside - set(reset)
        known = {each.task.task_id for each in treated}
        left = [each for each in findings if each.reason and each.task.task_id not in known]
        self.stuck = min(self.stuck, len(left) + len(inside))
        parts = [words("stuck.reset", count=len(reset)) if reset else words("stuck.nothing")]
        for key, count in (("adopted", ended), ("still_ending", inside), ("left", left)):
            if count:
                parts.append(words(f"stuck.{key}", count=len(count)))
        return RecoveryResult(
            checked_tasks=len(findings),
            reset_tasks=len(reset),
            reset_task_ids=list(reset),
            message=("；" if words.language == "zh" else "; ").join(parts),
        )


class _Resets:
    """Notes which of some tasks are put back, whoever is the quickest to do it."""

    def __init__(self, wanted: set[str]) -> None:
        self._wanted = wanted
        self.task_ids: list[str] = []

    def follow(self, transaction: Transaction) -> None:
        for record in transaction.records:
            if (
                isinstance(record, Task)
                and record.stage is Stage.WAITING
                and record.task_id in self._wanted
                and transaction.op in _RESETS
            ):
                self._wanted.discard(record.task_id)
                self.task_ids.append(record.task_id)
