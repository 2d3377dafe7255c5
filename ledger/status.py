"""The life of a task: its stages, the moves between them, and who makes each move."""

from enum import StrEnum


class Status(StrEnum):
    """What people and tables see; it follows from the stage (see ``STATUS_OF``)."""

    WAITING = "待处理"
    PROCESSING = "在处理中"
    DONE = "已完成"
    FAILED = "失败"
    CANCELLED = "已取消"


class Stage(StrEnum):
    """Where a task stands; each stage has one owner that moves tasks out of it."""

    WAITING = "waiting"  #: recorded; no server has been asked (owner: dispatch)
    SUBMITTING = "submitting"  #: our prompt id is on disk; the server may not have it (dispatch)
    QUEUED = "queued"  #: the server has it; not begun (follow)
    RUNNING = "running"  #: the server executes it (follow)
    COLLECTING = "collecting"  #: ended well; its outputs are being fetched and proven (collect)
    DONE = "done"  #: every output is on disk, named with its sha256 in the record
    FAILED = "failed"  #: ended; ``error_kind`` and ``error_message`` say why
    CANCELLED = "cancelled"  #: ended at an operator's wish

    __hash__ = str.__hash__  # an enum's own is Python; stages are looked up at every change


STATUS_OF: dict[Stage, Status] = {
    Stage.WAITING: Status.WAITING,
    Stage.SUBMITTING: Status.PROCESSING,
    Stage.QUEUED: Status.PROCESSING,
    Stage.RUNNING: Status.PROCESSING,
    Stage.COLLECTING: Status.PROCESSING,
    Stage.DONE: Status.DONE,
    Stage.FAILED: Status.FAILED,
    Stage.CANCELLED: Status.CANCELLED,
}

#: Legal changes of stage. A change that keeps the stage is always legal.
MOVES: dict[Stage, frozenset[Stage]] = {
    Stage.WAITING: frozenset({Stage.SUBMITTING, Stage.FAILED, Stage.CANCELLED}),
    Stage.SUBMITTING: frozenset(
        {
            Stage.WAITING,  # surely not sent, or refused for a reason that may pass
            Stage.QUEUED,
            Stage.RUNNING,
            Stage.COLLECTING,
            Stage.FAILED,
            Stage.CANCELLED,
        }
    ),
    Stage.QUEUED: frozenset(
        {Stage.WAITING, Stage.RUNNING, Stage.COLLECTING, Stage.FAILED, Stage.CANCELLED}
    ),
    Stage.RUNNING: frozenset({Stage.WAITING, Stage.COLLECTING, Stage.FAILED, Stage.CANCELLED}),
    Stage.COLLECTING: frozenset({Stage.WAITING, Stage.DONE, Stage.FAILED}),
    Stage.DONE: frozenset(),
    Stage.FAILED: frozenset(),
    Stage.CANCELLED: frozenset(),
}

#: Stages of tasks that still have something before them.
OPEN_STAGES: frozenset[Stage] = frozenset(
    {Stage.WAITING, Stage.SUBMITTING, Stage.QUEUED, Stage.RUNNING, Stage.COLLECTING}
)
#: Stages that a task never leaves.
ENDED_STAGES: frozenset[Stage] = frozenset(Stage) - OPEN_STAGES
#: Stages that people see as 在处理中.
IN_PROCESS_STAGES: frozenset[Stage] = OPEN_STAGES - {Stage.WAITING}
#: Stages in which a prompt of ours may be inside a server.
IN_FLIGHT_STAGES: frozenset[Stage] = frozenset({Stage.SUBMITTING, Stage.QUEUED, Stage.RUNNING})
