"""How the work stands at this moment, as a terminal shows it: a line a batch, a line a server."""

from collections.abc import Iterator
from itertools import islice

import msgspec

from daemon.dispatch.servers import ServerState
from daemon.web.desk import Desk
from daemon.web.remaining import eta_of
from daemon.words import Words
from daemon.words.values import printable
from ledger.batch import BatchStatus
from ledger.statistics import statistics
from ledger.status import IN_FLIGHT_STAGES, Stage

#: Batches shown at a time; the others are counted.
SHOWN_BATCHES = 6


class BatchLine(msgspec.Struct, frozen=True, kw_only=True):
    """How far a batch is."""

    name: str
    done: int
    failed: int
    total: int
    remark: str = ""
    waits_for_a_person: bool = False


class ServerLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a server does."""

    name: str
    inside: int
    room: int  # how many prompts it is given at a time
    activity: str = ""
    share: float | None = None  # of the node that it executes; None: nobody knows
    works: bool = True


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn; ``more`` counts the batches for which there was no line."""

    batches: tuple[BatchLine, ...]
    servers: tuple[ServerLine, ...]
    more: int = 0
    hint: str = ""


def look_for_open(desk: Desk, shown: dict[str, None]) -> Iterator[None]:
    """Note in *shown*, step by step, the batches that are open now."""
    for batch_id in desk.ledger.index.batch_ids():
        if _is_open(desk, batch_id):
            shown[batch_id] = None
        yield


def picture_of(desk: Desk, shown: dict[str, None], words: Words) -> Picture:
    """Return how all stands; *shown* holds the batches that were open while we looked.

    Those that have ended leave it once others are to be drawn. The cost does not grow with the
    batches that are open.
    """
    open_: list[str] = []
    ended: list[str] = []
    for batch_id in shown:
        (open_ if _is_open(desk, batch_id) else ended).append(batch_id)
        if len(open_) == SHOWN_BATCHES:
            break
    there_is_room_for = SHOWN_BATCHES - len(open_)
    for batch_id in ended[: max(0, len(ended) - there_is_room_for)]:
        del shown[batch_id]
    drawn = [_batch_line(desk, batch_id, words) for batch_id in islice(shown, SHOWN_BATCHES)]
    servers = [_server_line(desk, state, words) for state in desk.servers]
    inbox = desk.settings.inbox.path
    return Picture(
        batches=tuple(drawn),
        servers=tuple(servers),
        more=len(shown) - len(drawn),
        hint="" if drawn else words("progress.waits", inbox=inbox),
    )


def _is_open(desk: Desk, batch_id: str) -> bool:
    index = desk.ledger.index
    status = index.batch_status(batch_id)
    return status is not BatchStatus.COMPLETED and statistics(index, batch_id).open > 0


def _batch_line(desk: Desk, batch_id: str, words: Words) -> BatchLine:
    batch, counts = desk.ledger.batch(batch_id), statistics(desk.ledger.index, batch_id)
    remark, held = "", batch.held is not None
    if batch.held is not None:
        remark = words("batch.held", held=words.named("kind", batch.held))
    elif batch.status is not BatchStatus.RUNNING:
        remark = words(f"batch.{batch.status.value}")
    elif (eta := eta_of(desk, batch)) is not None:
        low, high = clock_time(eta.low_seconds), clock_time(eta.high_seconds)
        remark = f"≈ {low}" if low == high else f"≈ {low} – {high}"
    return BatchLine(
        name=batch_id,
        done=counts.completed,
        failed=counts.failed + counts.blocked,
        total=counts.total - counts.cancelled,
        remark=remark,
        waits_for_a_person=held or batch.status is BatchStatus.FAILED,
    )


def _server_line(desk: Desk, state: ServerState, words: Words) -> ServerLine:
    ledger, room = desk.ledger, state.settings.max_in_flight
    inside = len(ledger.in_stage(*IN_FLIGHT_STAGES, server=state.name))
    if state.health is None or not state.takes_work:
        why = "servers.drained" if state.health and state.health.usable else "servers.unreachable"
        return ServerLine(
            name=state.name, inside=inside, room=room, activity=words(why), works=False
        )
    running = ledger.in_stage(Stage.RUNNING, server=state.name)
    if not running:
        return ServerLine(
            name=state.name, inside=inside, room=room, activity=words("progress.idle")
        )
    task = running[0]
    return ServerLine(
        name=state.name,
        inside=inside,
        room=room,
        activity=printable(f"{task.workflow_type} {task.product_name} {task.model_name}").strip(),
        share=_share(desk, task.comfyui_task_id or ""),
    )


def _share(desk: Desk, prompt_id: str) -> float | None:
    heard = (news.progress.get(prompt_id) for news in desk.news)
    how = next((each for each in heard if each is not None), None)
    if how is None or how.value is None or not how.maximum:
        return None
    return min(1.0, how.value / how.maximum)


def clock_time(seconds: float) -> str:
    """Return a span as a clock shows it: 0:42, 12:05, 3:07:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
