"""Recovery of stuck tasks: adopts what has ended, resets what is really lost, forces on demand.

Who calls (HTTP, command line, sweep) is named in the journal. Reading is ``status_check``.
"""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
import structlog

from config.settings import Server, Workflow
from daemon.clock import Clock
from daemon.comfy.server import WorkflowServer
from daemon.logs import about
from daemon.settle.failure import waiting_again
from daemon.settle.settlement import Settlement
from daemon.upkeep.backup import LedgerBackups
from daemon.upkeep.diagnosis import Diagnosis, Limits, Reason
from daemon.upkeep.inspection import ProgressAge, diagnose, no_news
from daemon.upkeep.remedy import evidence_of, is_forced, is_lost, timeout_marks
from daemon.upkeep.status_check import StatusCheck, answered
from daemon.upkeep.treatment import Resets, Treatment, still_inside
from daemon.words import Words
from daemon.words.recorded import recorded
from ledger.errors import Conflict
from ledger.ledger import Ledger
from ledger.status import IN_FLIGHT_STAGES, Stage
from ledger.timestamps import to_timestamp

log = structlog.get_logger()


class RecoveryResult(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a recovery, in the fields of the contract."""

    checked_tasks: int
    reset_tasks: int
    reset_task_ids: list[str]
    message: str


class StuckTasks:
    """Finds and recovers tasks in process that are not; one recovery at a time.

    *followed*: a ``Follower`` runs beside it, see ``Treatment``.
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
        self._treatment = Treatment(ledger, servers, settlement, clock, followed=followed)
        self._backups = backups
        self._clock = clock
        self._workflows = workflows
        self._default_minutes = default_minutes
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
            diagnoses = await self._diagnose(max_runtime_minutes)
            lost = [each for each in diagnoses if is_lost(each)]
            forced = [
                each
                for each in diagnoses
                if force_reset
                and is_forced(each, spare_healthy=spare_healthy)
                and each.task.comfyui_task_id in asked_about
            ]
            treated = [*lost, *forced]
            resets = Resets({each.task.task_id for each in treated})
            if treated:
                await asyncio.to_thread(self._backups.make, self._clock.now())
                await self._treat(lost, forced, resets, actor)
            self._log(treated, resets.task_ids, actor)
            self.resets += len(resets.task_ids)
            return self._answer(diagnoses, treated, resets.task_ids, words)

    async def _treat(
        self,
        lost: Sequence[Diagnosis],
        forced: Sequence[Diagnosis],
        resets: Resets,
        actor: str,
    ) -> None:
        """Request the resets that are forced, then settle all; *resets* hears what is reset."""
        unsubscribe = self._ledger.subscribe(resets.follow, Stage.WAITING)
        try:
            for diagnosis in forced:
                await self._request(diagnosis, actor)
            await self._treatment.settle([each.task for each in (*lost, *forced)], actor)
        finally:
            unsubscribe()

    async def _diagnose(self, asked_minutes: float | None) -> list[Diagnosis]:
        limits = Limits(
            workflows=self._workflows,
            default_minutes=self._default_minutes,
            asked_minutes=asked_minutes,
        )
        servers = {name: server for name, (server, _) in self._servers.items()}
        diagnoses = await diagnose(self._ledger, servers, self._clock, limits, self._progress_age)
        if asked_minutes is None:
            self.stuck = sum(1 for each in diagnoses if each.reason is not None)
        return diagnoses

    async def _request(self, diagnosis: Diagnosis, actor: str) -> None:
        """Write down that the task is to be reset; without a server to ask it is reset at once."""
        task = self._ledger.task(diagnosis.task.task_id)
        if task.stage not in IN_FLIGHT_STAGES or task.requested is not None:
            return  # it moved on, or an earlier intent stands
        at = to_timestamp(self._clock.now())
        if diagnosis.reason is Reason.UNKNOWN_SERVER:
            changed, op = waiting_again(task, at=at), "task.reset"
        else:
            said = timeout_marks(diagnosis) if diagnosis.reason is Reason.OVER_LIMIT else {}
            changed = task.changed(at=at, requested="reset", requested_by=actor, **said)
            op = "task.reset_requested"
        try:
            await self._ledger.commit(
                changed,
                op=op,
                actor=actor,
                reason=diagnosis.sentence(Words("en")) or recorded("force_reset"),
                evidence=evidence_of(diagnosis),
            )
        except Conflict:  # somebody with newer knowledge was first
            log.debug("recovery.overtaken", **about(task))

    def _log(self, diagnoses: Sequence[Diagnosis], reset: Sequence[str], actor: str) -> None:
        for diagnosis in diagnoses:
            task = self._ledger.task(diagnosis.task.task_id)
            log.warning(
                "task.recovered",
                task=task.task_id,
                batch=task.batch_id,
                server=diagnosis.task.server,
                actor=actor,
                reason=diagnosis.reason or recorded("force_reset"),
                stage=task.stage.value,
                reset=task.task_id in reset,
            )

    def _answer(
        self,
        diagnoses: Sequence[Diagnosis],
        treated: Sequence[Diagnosis],
        reset: Sequence[str],
        words: Words,
    ) -> RecoveryResult:
        attempts = [each.task for each in treated]
        inside = {task.task_id for task in still_inside(self._ledger, attempts)}
        ended = {each.task.task_id for each in treated} - inside - set(reset)
        known = {each.task.task_id for each in treated}
        left = [each for each in diagnoses if each.reason and each.task.task_id not in known]
        self.stuck = min(self.stuck, len(left) + len(inside))
        parts = [words("stuck.reset", count=len(reset)) if reset else words("stuck.nothing")]
        for key, count in (("adopted", ended), ("still_ending", inside), ("left", left)):
            if count:
                parts.append(words(f"stuck.{key}", count=len(count)))
        return RecoveryResult(
            checked_tasks=len(diagnoses),
            reset_tasks=len(reset),
            reset_task_ids=list(reset),
            message=("；" if words.language == "zh" else "; ").join(parts),
        )
