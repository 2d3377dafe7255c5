"""Looks for prompts in a server: one read of the queue, then the history of those not in it."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from urllib.parse import quote

import msgspec

from daemon.comfy.connection import Connection
from daemon.comfy.history import sighting_of
from daemon.comfy.messages import ExtraData, HistoryEntry, Queue, QueueEntry
from daemon.comfy.server import Sighting, State, Ticket

#: History questions open at a time: enough to hide the network, too few to hurt ComfyUI, which
#: answers them on the loop that also feeds its websockets.
HISTORY_READS_AT_A_TIME = 8
_QUEUE = msgspec.json.Decoder(Queue)
_HISTORY = msgspec.json.Decoder(dict[str, HistoryEntry])


async def read_queue(connection: Connection) -> Queue:
    """Return what runs and waits in the server."""
    return await connection.read("/queue", _QUEUE)


async def look_up(
    connection: Connection, tickets: Sequence[Ticket], ended: Collection[str] = ()
) -> dict[str, Sighting]:
    """Return a sighting per prompt id, ABSENT where neither queue nor history knows it.

    Those that are said to have *ended* are looked for in the history first, which is final; only
    absence needs both, in their order. Raises Unreachable, and then says nothing about any of
    them: half an answer would be taken for absence.
    """
    told = [each.prompt_id for each in tickets if each.prompt_id in ended]
    found = {
        prompt_id: sighting
        for prompt_id, sighting in (await _in_history(connection, told)).items()
        if sighting.state is not State.ABSENT
    }
    tickets = [each for each in tickets if each.prompt_id not in found]
    if not tickets:
        return found
    seen = found | in_queue(await read_queue(connection), tickets)
    rest = list(dict.fromkeys(each.prompt_id for each in tickets if each.prompt_id not in seen))
    return seen | await _in_history(connection, rest)


def in_queue(queue: Queue, tickets: Iterable[Ticket]) -> dict[str, Sighting]:
    """Return the sightings of those of *tickets* that run or wait. Pure."""
    tickets = list(tickets)
    running = _entries_by_ticket(queue.queue_running, tickets)
    ranked = sorted(queue.queue_pending, key=lambda entry: (entry.number, entry.prompt_id))
    waiting = _entries_by_ticket(ranked, tickets)
    position_of = {id(entry): position for position, entry in enumerate(ranked)}
    seen: dict[str, Sighting] = {}
    for prompt_id in {**running, **waiting}:
        runs, waits = running.get(prompt_id, []), waiting.get(prompt_id, [])
        seen[prompt_id] = Sighting(
            state=State.RUNNING if runs else State.PENDING,
            position=None if runs else position_of[id(waits[0])],
            copies=len(runs) + len(waits),
        )
    return seen


def waiting_ids(queue: Queue, ticket: Ticket) -> list[str]:
    """Return the prompt ids under which *ticket* waits, one per entry."""
    found = _entries_by_ticket(queue.queue_pending, [ticket])
    return [entry.prompt_id for entry in found.get(ticket.prompt_id, [])]


def _entries_by_ticket(
    entries: Iterable[QueueEntry], tickets: Iterable[Ticket]
) -> dict[str, list[QueueEntry]]:
    """Return the entries of each ticket under the ticket's prompt id, in the order given."""
    wanted = {ticket.prompt_id for ticket in tickets}
    found: dict[str, list[QueueEntry]] = {}
    for entry in entries:
        prompt_id = entry.prompt_id if entry.prompt_id in wanted else _claimed_id(entry)
        if prompt_id is not None and prompt_id in wanted:
            found.setdefault(prompt_id, []).append(entry)
    return found


def _claimed_id(entry: QueueEntry) -> str | None:
    """Return the prompt id we chose, for an entry that a server put under another one."""
    try:
        ours = msgspec.json.decode(entry.extra_data, type=ExtraData).rowkeeper
    except msgspec.ValidationError:  # somebody else's prompt
        return None
    return ours.prompt_id if ours else None


async def _in_history(connection: Connection, prompt_ids: Sequence[str]) -> dict[str, Sighting]:
    waiting = iter(prompt_ids)
    found: dict[str, Sighting] = {}

    async def read_on() -> None:
        for prompt_id in waiting:  # shared: each reader takes the next one
            found[prompt_id] = await _read_history(connection, prompt_id)

    if len(prompt_ids) == 1:
        return {prompt_ids[0]: await _read_history(connection, prompt_ids[0])}
    readers = [
        asyncio.create_task(read_on(), name=f"history of {connection.name}")
        for _ in range(min(HISTORY_READS_AT_A_TIME, len(prompt_ids)))
    ]
    try:
        await asyncio.gather(*readers)
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    return found


async def _read_history(connection: Connection, prompt_id: str) -> Sighting:
    path = f"/history/{quote(prompt_id, safe='')}"
    entry = (await connection.read(path, _HISTORY)).get(prompt_id)
    return sighting_of(entry) if entry is not None else Sighting(state=State.ABSENT)
