"""Finds out what became of prompts on a server and writes it into the ledger.

Dispatch (lost answers), follow (every poll) and recovery (at start) all settle tasks here.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import msgspec
import structlog

from config.settings import Server, Workflow
from daemon.clock import Clock
from daemon.comfy.server import Sighting, State, Ticket, WorkflowServer
from daemon.logs import about
from daemon.retrying import EXECUTION_ERROR
from daemon.settle.absences import Absences
from daemon.settle.adoption import probe_outputs
from daemon.settle.failure import after_failure, failed, waiting_again
from daemon.settle.results import ResultNode, miscounts
from daemon.settle.verdict import Decision, Probe, Verdict, judge
from daemon.words.recorded import recorded
from ledger.errors import Conflict
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import Json, OutputFile, Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

ResultsOf: TypeAlias = Callable[[Task], Sequence[ResultNode]]


class Settled(msgspec.Struct, kw_only=True):
    """What is left to do after a look at some tasks."""

    submit_again: list[Task] = msgspec.field(default_factory=list)
    undecided: list[Task] = msgspec.field(default_factory=list)  # absent, but may still show up
    look_again_in_seconds: float | None = None  # at those; None when there are none


class Settlement:
    """Gives tasks that may be inside a server their verdict, from evidence only."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        workflows: Mapping[str, Workflow],
        results_of: ResultsOf,
        *,
        servers: Collection[str] = (),
        name_outputs: Callable[[Task], Task] = lambda task: task,
    ) -> None:
        """*servers*: the names of all there are; a task too large for each of them is failed.

        *name_outputs* says where the files of a finished task will go, in the same transaction.
        """
        self._log = log.bind()  # the module's own is made anew for each line
        self._ledger = ledger
        self._clock = clock
        self._workflows = workflows
        self._results_of = results_of
        self._servers = servers
        self._name_outputs = name_outputs
        self.absences = Absences(clock)
        self.left_to_recovery: set[str] = set()  # tasks that need not be looked at before it did

    async def settle(
        self,
        server: WorkflowServer,
        settings: Server,
        tasks: Sequence[Task],
        *,
        actor: str = "daemon",
        ended: Collection[str] = (),
    ) -> Settled:
        """Look at *tasks* (submitting, queued, running; all on *server*) once and act on it.

        One read of the queue whatever their number, none when all are prompts that are said to
        have *ended*, and have. A task that somebody else moved meanwhile is left to them. The
        journal names *actor* as who wanted the look. Raises Unreachable or AnswerLost; then
        nothing was decided.
        """
        tickets = [ticket_of(task) for task in tasks]
        sightings = await server.look_up(tickets, ended)
        settled = Settled()
        verdicts = [
            self._judge(settings, task, sightings[ticket.prompt_id], settled)
            for task, ticket in zip(tasks, tickets, strict=True)
        ]
        if any(verdict.decision is Decision.PROBE for verdict in verdicts):
            verdicts = await asyncio.gather(
                *(
                    self._probed(server, task, sightings[ticket.prompt_id], verdict)
                    for task, ticket, verdict in zip(tasks, tickets, verdicts, strict=True)
                )
            )
        await asyncio.gather(
            *(
                self._act(task, verdict, sightings[ticket.prompt_id], settled, actor)
                for task, ticket, verdict in zip(tasks, tickets, verdicts, strict=True)
                if verdict.decision is not Decision.KEEP
            )
        )
        return settled

    def _judge(self, settings: Server, task: Task, sighting: Sighting, settled: Settled) -> Verdict:
        """Return what is to be done, or that the output folder has to be asked first."""
        absent = sighting.state is State.ABSENT
        absent_seconds = self.absences.seconds(task.comfyui_task_id or "", absent=absent)
        left_seconds = settings.settle_seconds - absent_seconds
        verdict = self._verdict(task, sighting, settled=left_seconds <= 0)
        if verdict.decision is Decision.LOOK_AGAIN:
            known = settled.look_again_in_seconds
            settled.look_again_in_seconds = max(left_seconds, known or 0.0)
            settled.undecided.append(task)
        return verdict

    async def _probed(
        self, server: WorkflowServer, task: Task, sighting: Sighting, verdict: Verdict
    ) -> Verdict:
        """Return *verdict*, or the one that the output folder's evidence leads to."""
        if verdict.decision is not Decision.PROBE:
            return verdict
        probe = await probe_outputs(server, task, self._results_of(task))
        return self._verdict(task, sighting, settled=True, probe=probe)

    def _verdict(
        self, task: Task, sighting: Sighting, *, settled: bool, probe: Probe | None = None
    ) -> Verdict:
        return judge(
            task,
            sighting,
            settled=settled,
            results=self._results_of(task),
            probe=probe,
            ask_when_uncertain=self._asks_when_uncertain(task.workflow_type),
        )

    def _asks_when_uncertain(self, workflow_type: str) -> bool:
        """Say whether a person decides; so it is for a type that left the settings."""
        workflow = self._workflows.get(workflow_type)
        return workflow is None or workflow.on_uncertain == "ask"

    async def _act(
        self, task: Task, verdict: Verdict, sighting: Sighting, settled: Settled, actor: str
    ) -> None:
        changed = self._conclude(task, verdict, sighting)
        if verdict.decision is Decision.SUBMIT_AGAIN:
            settled.submit_again.append(task)
        if changed is None:
            return
        self.absences.end(task.comfyui_task_id or "")
        try:
            await self._ledger.commit(
                changed,
                op=f"task.{verdict.decision}",
                actor=actor,
                reason=verdict.reason,
                evidence=_evidence(task, verdict, sighting),
            )
        except Conflict:  # somebody with newer knowledge was first
            log.debug("settlement.overtaken", **about(task))
            return
        tell = self._log.debug if verdict.is_ordinary else self._log.info
        tell(
            "task.settled",
            **about(task),
            verdict=verdict.decision.value,
            stage=changed.stage.value,
            reason=verdict.reason,
        )
        if verdict.decision is Decision.COLLECT:
            self._tell_miscounts(task, verdict)

    def _tell_miscounts(self, task: Task, verdict: Verdict) -> None:
        """Warn when the settings' count is wrong: a lost run of it could not be adopted."""
        for each in miscounts(self._results_of(task), (ref.node for ref in verdict.files)):
            log.warning(
                "task.files_miscounted",
                **about(task),
                node=each.node_id,
                expected=each.expected,
                found=each.found,
                hint="set count of this node in the workflow's outputs to what it makes",
            )

    def _conclude(self, task: Task, verdict: Verdict, sighting: Sighting) -> Task | None:
        """Return the task's next version, or None when the ledger need not change."""
        at = to_timestamp(self._clock.now())
        match verdict.decision:
            case Decision.KEEP | Decision.LOOK_AGAIN | Decision.PROBE | Decision.SUBMIT_AGAIN:
                return None
            case Decision.FOLLOW:
                return _followed(task, sighting, at)
            case Decision.COLLECT:
                return self._name_outputs(_collecting(task, verdict, sighting, at))
            case Decision.FAIL:
                kind = verdict.failure or EXECUTION_ERROR.kind
                return self._after_failure(_timed(task, sighting), kind, verdict.message, at)
            case Decision.RUN_AGAIN:
                begun = int(task.stage is Stage.RUNNING)
                return waiting_again(task, at=at, lost_by_server=task.lost_by_server + begun)
            case Decision.AS_REQUESTED:
                return self._as_requested(task, at)
            case Decision.ASK:
                return _asking(task, at)

    def _as_requested(self, task: Task, at: str) -> Task:
        """Return what was asked for; a sweep's reset follows the policy of its failure class."""
        if task.requested == "cancel":
            return task.moved(Stage.CANCELLED, at=at)
        by_sweep = (task.requested_by or "").startswith("sweep:")
        if by_sweep and task.error_kind is not None:
            return self._after_failure(task, task.error_kind, task.error_message or "", at)
        return waiting_again(task, at=at)

    def _after_failure(self, task: Task, kind: str, message: str, at: str) -> Task:
        """Return the task after a failure; one that was to be cancelled is not tried again."""
        if task.requested == "cancel":
            return failed(task, kind, message, at=at)
        workflow = self._workflows.get(task.workflow_type)
        retries = workflow.max_auto_retries if workflow else 0
        return after_failure(
            task, kind, message, at=at, max_auto_retries=retries, servers=self._servers
        )


def ticket_of(task: Task) -> Ticket:
    """Return what ties the task's present attempt to its prompt."""
    return Ticket(prompt_id=task.comfyui_task_id or "", task_id=task.task_id, attempt=task.attempt)


def _followed(task: Task, sighting: Sighting, at: str) -> Task:
    if sighting.state is State.PENDING:
        return task.moved(Stage.QUEUED, at=at, blocked_by=None)
    void = task.requested == "take_back"  # only what waits can be taken back
    return task.moved(
        Stage.RUNNING,
        at=at,
        started_at=task.started_at or at,
        blocked_by=None,
        requested=None if void else task.requested,
        requested_by=None if void else task.requested_by,
    )


def _timed(task: Task, sighting: Sighting) -> Task:
    """Return *task* with the times that the server's history tells, as far as it does."""
    if sighting.started_at is None:
        return task
    gpu_seconds = None
    if sighting.ended_at is not None:
        gpu_seconds = round(sighting.ended_at - sighting.started_at, 3)
    started_at = to_timestamp(datetime.fromtimestamp(sighting.started_at, UTC))
    return msgspec.structs.replace(task, started_at=started_at, gpu_seconds=gpu_seconds)


def _collecting(task: Task, verdict: Verdict, sighting: Sighting, at: str) -> Task:
    outputs = tuple(
        OutputFile(node=ref.node, filename=ref.filename, subfolder=ref.subfolder, type=ref.type)
        for ref in verdict.files
    )
    return _timed(task, sighting).moved(
        Stage.COLLECTING,
        at=at,
        outputs=outputs,
        blocked_by=None,
        requested=None,  # it ended before the intent could be carried out
        requested_by=None,
        metadata=msgspec.structs.replace(task.metadata, adopted=verdict.adopted),
    )


def _asking(task: Task, at: str) -> Task | None:
    if task.blocked_by is not None:
        return None
    return task.changed(at=at, blocked_by=recorded("uncertain"))


def _evidence(task: Task, verdict: Verdict, sighting: Sighting) -> dict[str, Json]:
    evidence: dict[str, Json] = {"server": task.server, "sighting": sighting.state.value}
    if verdict.files:
        evidence["files"] = [f"{ref.subfolder}/{ref.filename}" for ref in verdict.files]
    if task.requested is not None:
        evidence |= {"requested": task.requested, "requested_by": task.requested_by}
    if verdict.failure:
        evidence["failure"] = verdict.failure
    return evidence
