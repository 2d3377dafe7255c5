"""Records → the documents that the paths answer. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from daemon.dispatch.servers import ServerState
from daemon.story.telling import JournalLine
from daemon.web.documents import Readiness, ServerDocument
from daemon.web.status_documents import NodeProgress
from daemon.web.task_documents import Change, TaskDocument, TaskRow
from ledger.ledger import Ledger
from ledger.shelf import decode_task
from ledger.status import IN_FLIGHT_STAGES, IN_PROCESS_STAGES, STATUS_OF, Stage, Status
from ledger.task import Task

#: Of an error's text, in a list; the task itself has the whole of it.
MESSAGE_CHARACTERS = 300
FILES_TOLD = 4
_SHOWN = tuple(
    name
    for name in TaskRow.__struct_fields__
    if name
    not in {
        "error_message",
        "output_files",
        "outputs_count",
        "inputs",
    }
)


def change(line: JournalLine) -> Change:
    """Return a line of the journal about a task."""
    return Change(
        seq=line.seq,
        at=line.at,
        actor=line.actor,
        op=line.op,
        reason=line.reason,
        evidence=None if line.evidence is None else dict(line.evidence),
        task=None if line.task is None else decode_task(line.task),
    )


def task_document(
    task: Task, family: Sequence[Task], history: Sequence[Change], row_gpu_seconds: float
) -> TaskDocument:
    """Return the task in full."""
    return TaskDocument(
        **msgspec.structs.asdict(task),
        kin=[each.task_id for each in family] or [task.task_id],
        history=list(history),
        row_gpu_seconds=row_gpu_seconds,
    )


def task_row(task: Task) -> TaskRow:
    """Return what lists and events say of a task."""
    message = task.error_message
    return TaskRow(
        **{name: getattr(task, name) for name in _SHOWN},
        error_message=None if message is None else message[:MESSAGE_CHARACTERS],
        output_files=task.output_files[:FILES_TOLD],
        outputs_count=len(task.output_files),
        inputs=tuple(task.inputs),
    )


def server_document(state: ServerState, in_flight: int) -> ServerDocument:
    """Return the server as dispatch sees it; headers, which may hold secrets, stay out."""
    health, memory = state.health, state.memory
    version = health.version if health else memory.version
    return ServerDocument(
        name=state.name,
        url=state.settings.url,
        drained=memory.drained,
        reachable=health is not None if state.asked else None,
        usable=health.usable if health else False,
        why_not=health.why_not if health else None,
        version=version,
        in_flight=in_flight,
        max_in_flight=state.settings.max_in_flight,
        queue_running=health.queue_running if health else None,
        queue_pending=health.queue_pending if health else None,
        last_type=state.last_type,
    )


def server_documents(ledger: Ledger, servers: Sequence[ServerState]) -> list[ServerDocument]:
    """Return all servers of the settings, in their order."""
    return [
        server_document(state, len(ledger.in_stage(*IN_FLIGHT_STAGES, server=state.name)))
        for state in servers
    ]


def readiness(ledger: Ledger, servers: Sequence[ServerState]) -> Readiness:
    """Return whether work is taken in and done; the door opens after recovery."""
    reachable = sum(state.health is not None for state in servers)
    return Readiness(
        ready=ledger.writable and not ledger.damage and reachable > 0,
        ledger_writable=ledger.writable,
        ledger_damaged=bool(ledger.damage),
        servers_reachable=reachable,
        servers=len(servers),
    )


def snapshot(
    ledger: Ledger,
    servers: Sequence[ServerState],
    progress: Mapping[str, NodeProgress],
) -> dict[str, object]:
    """Return what one who begins to listen must know beside the batches."""
    return {
        "tasks": [task_row(task) for task in ledger.in_stage(*IN_PROCESS_STAGES)],
        "servers": server_documents(ledger, servers),
        "progress": progress,
    }


def stages_named(words: Sequence[str]) -> frozenset[Stage]:
    """Return the stages that statuses (待处理 …) and stages (waiting …) name; none: all."""
    if not words:
        return frozenset(Stage)
    statuses = {status.value for status in Status}
    named = {Stage(word) for word in words if word not in statuses}
    return frozenset(named | {s for s in Stage if STATUS_OF[s].value in words})
