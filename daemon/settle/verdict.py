"""From evidence to verdict, without any I/O: the table of recovery as one function.

The same verdicts serve at start, while following, and after a lost answer.
"""

from collections.abc import Sequence
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
from daemon.settle.results import ResultNode
from daemon.words.recorded import recorded, together
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
    results: Sequence[ResultNode] = (),
    probe: Probe | None = None,
    ask_when_uncertain: bool = False,
) -> Verdict:
    """Return the verdict on *task* (submitting, queued or running).

    With an intent (``requested``): interrupted or gone is what was wanted; a success stands.

    *settled*: it has been absent for ``settle_seconds``. *results*: the nodes whose files are the
    result, none when nobody knows any more. *probe*: the folder's answer, once asked.
    """
    match sighting.state:
        case State.PENDING | State.RUNNING:
            return _inside(task, sighting)
        case State.SUCCEEDED:
            return _ended_well(task, sighting, results)
        case State.FAILED:
            return _ended_badly(sighting)
        case State.INTERRUPTED:
            if task.requested is not None:
                return Verdict(
                    decision=Decision.AS_REQUESTED,
                    reason=together(
                        recorded("history_interrupted"), recorded(f"{task.requested}_requested")
                    ),
                )
            return Verdict(
                decision=Decision.FAIL,
                reason=recorded("history_interrupted"),
                failure=INTERRUPTED.kind,
                message=recorded("interrupted"),
            )
        case State.ABSENT:
            return _absent(task, settled=settled, probe=probe, ask=ask_when_uncertain)


def _inside(task: Task, sighting: Sighting) -> Verdict:
    wanted = Stage.QUEUED if sighting.state is State.PENDING else Stage.RUNNING
    if wanted is Stage.RUNNING and task.requested == "take_back":
        return Verdict(decision=Decision.FOLLOW, reason=recorded("began_before"))
    if task.stage is wanted or task.stage is Stage.RUNNING:
        return Verdict(decision=Decision.KEEP, reason=recorded(sighting.state))
    return Verdict(decision=Decision.FOLLOW, reason=recorded(sighting.state))


def _ended_well(task: Task, sighting: Sighting, results: Sequence[ResultNode]) -> Verdict:
    files = _result_of(sighting, results)
    if any(_is_of_another_attempt(task, ref) for ref in files):
        return Verdict(
            decision=Decision.FAIL,
            reason=recorded("foreign_files"),
            failure=BAD_OUTPUT.kind,
            message=recorded("ran_nothing"),
        )
    if files:
        reason = recorded("history_success")
        if task.requested is not None:
            reason = together(reason, recorded(f"ended_before_{task.requested}"))
        return Verdict(decision=Decision.COLLECT, reason=reason, files=files)
    return Verdict(
        decision=Decision.FAIL,
        reason=recorded("no_files"),
        failure=BAD_OUTPUT.kind,
        message=recorded("no_output"),
    )


def _result_of(sighting: Sighting, results: Sequence[ResultNode]) -> tuple[FileRef, ...]:
    """Return the files that are the result: of the nodes it is to come from, saved ones if any.

    When none of these made a file, all that there is: what was paid for is not thrown away, and
    the log tells that the settings name other nodes.
    """
    made = sighting.outputs
    named = tuple(ref for ref in made if any(node.made(ref.node) for node in results)) or made
    return tuple(ref for ref in named if ref.type == "output") or named


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
            reason=recorded("history_error"),
            failure=EXECUTION_ERROR.kind,
            message=recorded("no_message"),
        )
    message = error.message
    if error.node_id:
        message = recorded("at_node", type=error.node_type, node=error.node_id, said=error.message)
    return Verdict(
        decision=Decision.FAIL,
        reason=recorded("history_error"),
        failure=(OUT_OF_MEMORY if error.out_of_memory else EXECUTION_ERROR).kind,
        message=message,
    )


def _absent(task: Task, *, settled: bool, probe: Probe | None, ask: bool) -> Verdict:
    arrived = task.stage is not Stage.SUBMITTING and not task.possible_duplicate
    if not settled and not (arrived and task.requested is not None):
        return Verdict(decision=Decision.LOOK_AGAIN, reason=recorded("absent"))
    if task.requested is not None:  # what surely had arrived cannot show up late
        return Verdict(
            decision=Decision.AS_REQUESTED,
            reason=together(recorded("absent"), recorded(f"{task.requested}_requested")),
        )
    if probe is None:
        return Verdict(decision=Decision.PROBE, reason=recorded("absent_settled"))
    reason = together(recorded("absent_settled"), probe.finding)
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
            message=recorded("died", count=POISON_AFTER_LOSSES),
        )
    return Verdict(decision=Decision.RUN_AGAIN, reason=reason)
