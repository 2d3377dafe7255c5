"""From evidence to verdict, without any I/O: the table of recovery as one function.

The same verdicts serve at start, while following, and after a lost answer.
"""

from enum import StrEnum

import msgspec

from daemon.comfy.server import FileRef, Sighting, State
from daemon.retrying import (
    BAD_OUTPUT,
    EXECUTION_ERROR,
    INTERRUPTED,
    OUT_OF_MEMORY,
    POISON,
    POISON_AFTER_LOSSES,
)
from ledger.status import Stage
from ledger.task import Task


class Decision(StrEnum):
    """What to do with a task."""

    KEEP = "keep"  #: nothing new
    FOLLOW = "follow"  #: it waits in the server's queue, or runs
    COLLECT = "collect"  #: it ended well; fetch its outputs
    FAIL = "fail"  #: it ended badly; the policy of its failure class decides
    LOOK_AGAIN = "look_again"  #: absent, but a lost submission may still show up
    PROBE = "probe"  #: absent for sure; ask the output folder
    SUBMIT_AGAIN = "submit_again"  #: the same prompt once more; nobody can know
    ASK = "ask"  #: the same, but a person wants to decide
    RUN_AGAIN = "run_again"  #: the server forgot it; a new attempt
    AS_REQUESTED = "as_requested"  #: an operator wanted it gone, and it is


_ORDINARY = frozenset({Decision.FOLLOW, Decision.COLLECT})


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What the output folder says of an attempt."""

    complete: bool
    files: tuple[FileRef, ...] = ()
    finding: str = ""  # one sentence for the journal


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, and the sentence that says why."""

    decision: Decision
    reason: str
    files: tuple[FileRef, ...] = ()
    failure: str | None = None  # failure class, with FAIL
    message: str = ""  # for a person, with FAIL
    adopted: bool = False

    @property
    def is_ordinary(self) -> bool:
        """Whether the task takes the course that nearly all take."""
        return self.decision in _ORDINARY and not self.adopted


def judge(
    task: Task,
    sighting: Sighting,
    *,
    settled: bool,
    probe: Probe | None = None,
    ask_when_uncertain: bool = False,
) -> Verdict:
    """Return the verdict on *task* (submitting, queued or running).

    With an intent (``requested``): interrupted or gone is what was wanted; a success stands.

    *settled*: it has been absent for ``settle_seconds``. *probe*: the folder's answer, once asked.
    """
    match sighting.state:
        case State.PENDING | State.RUNNING:
            return _inside(task, sighting)
        case State.SUCCEEDED:
            return _ended_well(task, sighting)
        case State.FAILED:
            return _ended_badly(sighting)
        case State.INTERRUPTED:
            if task.requested is not None:
                return Verdict(
                    decision=Decision.AS_REQUESTED,
                    reason=f"history: interrupted; {task.requested} was requested",
                )
            return Verdict(
                decision=Decision.FAIL,
                reason="history: interrupted",
                failure=INTERRUPTED.kind,
                message="interrupted in ComfyUI",
            )
        case State.ABSENT:
            return _absent(task, settled=settled, probe=probe, ask=ask_when_uncertain)


def _inside(task: Task, sighting: Sighting) -> Verdict:
    wanted = Stage.QUEUED if sighting.state is State.PENDING else Stage.RUNNING
    if wanted is Stage.RUNNING and task.requested == "take_back":
        return Verdict(
            decision=Decision.FOLLOW, reason="queue: it began before it could be taken back"
        )
    if task.stage is wanted or task.stage is Stage.RUNNING:
        return Verdict(decision=Decision.KEEP, reason=f"queue: {sighting.state}")
    return Verdict(decision=Decision.FOLLOW, reason=f"queue: {sighting.state}")


def _ended_well(task: Task, sighting: Sighting) -> Verdict:
    files = tuple(ref for ref in sighting.outputs if ref.type == "output") or sighting.outputs
    if any(_is_of_another_attempt(task, ref) for ref in files):
        return Verdict(
            decision=Decision.FAIL,
            reason="history: success with files of another attempt",
            failure=BAD_OUTPUT.kind,
            message="ComfyUI ran nothing and named the files of another run",
        )
    if files:
        reason = "history: success"
        if task.requested is not None:
            reason += f"; it ended before the {task.requested} that was requested"
        return Verdict(decision=Decision.COLLECT, reason=reason, files=files)
    return Verdict(
        decision=Decision.FAIL,
        reason="history: success without files",
        failure=BAD_OUTPUT.kind,
        message="ComfyUI reports success but names no output file",
    )


def _is_of_another_attempt(task: Task, ref: FileRef) -> bool:
    """Say whether the file lies in the folder of an attempt, and not of this one.

    Save nodes that choose their own folder are believed: nothing there says who made the file.
    """
    ours = f"{task.output_prefix}/"
    folder = ref.subfolder.replace("\\", "/") + "/"  # as ComfyUI on Windows names it
    return folder.startswith(ours.partition("/")[0] + "/") and not folder.startswith(ours)


def _ended_badly(sighting: Sighting) -> Verdict:
    error = sighting.error
    if error is None:
        return Verdict(
            decision=Decision.FAIL,
            reason="history: error",
            failure=EXECUTION_ERROR.kind,
            message="ComfyUI reports an error without a message",
        )
    where = f"{error.node_type} (node {error.node_id}): " if error.node_id else ""
    return Verdict(
        decision=Decision.FAIL,
        reason="history: error",
        failure=(OUT_OF_MEMORY if error.out_of_memory else EXECUTION_ERROR).kind,
        message=f"{where}{error.message}",
    )


def _absent(task: Task, *, settled: bool, probe: Probe | None, ask: bool) -> Verdict:
    arrived = task.stage is not Stage.SUBMITTING and not task.possible_duplicate
    if not settled and not (arrived and task.requested is not None):
        return Verdict(decision=Decision.LOOK_AGAIN, reason="in neither queue nor history")
    if task.requested is not None:  # what surely had arrived cannot show up late
        return Verdict(
            decision=Decision.AS_REQUESTED,
            reason=f"in neither queue nor history; {task.requested} was requested",
        )
    if probe is None:
        return Verdict(
            decision=Decision.PROBE, reason="in neither queue nor history after settling"
        )
    reason = f"in neither queue nor history after settling; {probe.finding}"
    if probe.complete:
        return Verdict(decision=Decision.COLLECT, reason=reason, files=probe.files, adopted=True)
    if task.stage is Stage.SUBMITTING:
        return Verdict(decision=Decision.ASK if ask else Decision.SUBMIT_AGAIN, reason=reason)
    begun = task.stage is Stage.RUNNING
    if begun and task.lost_by_server + 1 >= POISON_AFTER_LOSSES:
        return Verdict(
            decision=Decision.FAIL,
            reason=reason,
            failure=POISON.kind,
            message=f"the server died {POISON_AFTER_LOSSES} times while it executed this row",
        )
    return Verdict(decision=Decision.RUN_AGAIN, reason=reason)
