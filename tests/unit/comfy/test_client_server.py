"""What a server is, what it has, and how a prompt is taken out of it."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from daemon.comfy.connection import Timeouts
from daemon.comfy.server import AnswerLost, Health, Ticket, Unreachable
from tests.fakes.replay import answer, json_answer, recording, replaying, wire_server

ID = "77777777-7777-4777-8777-777777777771"
TICKET = Ticket(prompt_id=ID, task_id="img_1", attempt=1)


class HandClock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self):
        return self.seconds

    async def pause(self, seconds, until=None):
        self.seconds += seconds


async def test_a_server_tells_its_version_and_queue(generation, client_of):
    stats = recording(generation, "system_stats")
    async with replaying(stats, recording(generation, "queue_and_interrupt")["queue"]) as server:
        health = await client_of(server).health()
    waiting = 3 if generation == "v0.3.64" else 2
    assert health == Health(
        version=generation.removeprefix("v"), usable=True, queue_running=1, queue_pending=waiting
    )


@pytest.mark.parametrize(
    ("version", "why_not"),
    [
        ("0.3.57", None),
        ("v0.3.64-12-gabcdef", None),
        ("0.4", None),
        ("1.0.0", None),
        ("0.3.56", "too old; 0.3.57 or newer"),
        ("0.2.99", "too old"),
        ("main", "does not tell its version"),
        ("", "does not tell its version"),
        (None, "does not tell its version"),
    ],
)
async def test_only_a_server_that_is_new_enough_is_usable(client_of, version, why_not):
    async def say(request):
        if request.path == "/queue":
            return json_answer({"queue_running": [], "queue_pending": []})
        return json_answer({"system": {"comfyui_version": version}})

    async with wire_server(say) as server:
        health = await client_of(server).health()
    assert health.usable is (why_not is None)
    assert (why_not or "") in (health.why_not or "")


async def test_a_server_of_another_kind_is_unreachable(client_of):
    async def say(_):
        return answer(200, b"<html>It works!</html>")

    async with wire_server(say) as server:
        with pytest.raises(Unreachable, match="not what ComfyUI answers"):
            await client_of(server).health()


async def test_a_server_that_hangs_is_unreachable(client_of):
    async def hang(_):
        await asyncio.Event().wait()

    async with wire_server(hang) as server:
        with pytest.raises(Unreachable, match="in time"):
            await client_of(server, timeouts=Timeouts(read_seconds=0.2)).health()


def classes(*names):
    return {name: {"input": {"required": {"seed": ["INT", {"max": 5}]}}} for name in names}


async def test_node_classes_read_like_a_dict(generation, client_of):
    """A real server tells all at once; the recording holds one answer a class."""
    recorded = {}
    for one_class in recording(generation, "object_info").values():
        recorded |= one_class

    async def say(_):
        return json_answer(recorded)

    async with wire_server(say) as server:
        described = await client_of(server).node_classes()
    assert set(described) == set(recorded)
    assert "LoadImage" in described
    assert "NoSuchNode" not in described
    assert described == recorded


async def test_infinite_limits_of_custom_nodes_do_no_harm(client_of):
    async def say(_):
        return answer(200, json.dumps({"A": {"max": float("inf"), "min": float("nan")}}).encode())

    async with wire_server(say) as server:
        described = await client_of(server).node_classes()
    assert described["A"] == {"max": 1e308, "min": None}


async def test_node_classes_are_read_once_until_forgotten_old_or_the_server_was_gone(client_of):
    up = True

    async def say(_):
        return json_answer(classes("A")) if up else None

    clock = HandClock()
    async with wire_server(say) as server:
        client = client_of(server, clock=clock)

        def asked():
            return sum(request.path == "/object_info" for request in server.requests)

        await asyncio.gather(client.node_classes(), client.node_classes())
        assert asked() == 1
        client.forget()
        await client.node_classes()
        assert asked() == 2
        clock.seconds += 301
        await client.node_classes()
        assert asked() == 3
        up = False
        with pytest.raises(Unreachable):
            await client.look_up([TICKET])
        up = True
        await client.node_classes()
        await client.node_classes()
        assert asked() == 4


async def test_cancel_uses_the_jobs_api_where_there_is_one(client_of):
    recorded = recording("v0.33.0", "jobs_api")
    unknown = Ticket(prompt_id="99999999-9999-4999-8999-999999999999", task_id="i", attempt=1)
    async with replaying(recorded["cancel_pending"], recorded["cancel_unknown"]) as server:
        client = client_of(server)
        await client.cancel(TICKET)
        await client.cancel(unknown)
    assert [request.path for request in server.requests] == [
        f"/api/jobs/{ID}/cancel",
        f"/api/jobs/{unknown.prompt_id}/cancel",
    ]


def without_jobs_api(version="0.3.64"):
    async def say(request):
        if request.path.startswith("/api/jobs"):
            return answer(404)
        if request.path == "/system_stats":
            return json_answer({"system": {"comfyui_version": version}})
        return answer(200)

    return say


async def test_an_older_server_is_asked_to_delete_and_to_interrupt_exactly_it(client_of):
    async with wire_server(without_jobs_api()) as server:
        client = client_of(server)
        await client.cancel(TICKET)
        await client.cancel(TICKET)
    asked = [(request.method, request.path) for request in server.requests]
    once = [("POST", "/queue"), ("POST", "/interrupt")]
    assert asked == [
        ("POST", f"/api/jobs/{ID}/cancel"),
        once[0],
        ("GET", "/system_stats"),
        once[1],
        *once,
    ]
    assert [r.json() for r in server.requests if r.path == "/queue"] == [{"delete": [ID]}] * 2
    assert [r.json() for r in server.requests if r.path == "/interrupt"] == [{"prompt_id": ID}] * 2


@pytest.mark.parametrize("version", ["0.3.56", None])
async def test_a_server_that_would_interrupt_anybody_is_never_asked_to(client_of, version):
    async with wire_server(without_jobs_api(version)) as server:
        await client_of(server).cancel(TICKET)
    assert "/interrupt" not in [request.path for request in server.requests]


async def test_cancelling_on_a_server_that_fails_says_so(client_of):
    async def say(_):
        return answer(500)

    async with wire_server(say) as server:
        with pytest.raises(AnswerLost):
            await client_of(server).cancel(TICKET)


async def test_a_server_that_came_back_is_asked_again_what_it_can(client_of):
    jobs = False

    async def say(request):
        if request.path.startswith("/api/jobs"):
            return json_answer({"cancelled": True}) if jobs else answer(405)
        if request.path == "/history/x":
            return None
        return await without_jobs_api()(request)

    async with wire_server(say) as server:
        client = client_of(server)
        await client.cancel(TICKET)
        jobs = True
        with pytest.raises(Unreachable):
            await client.look_up([TICKET])
        server.requests.clear()
        await client.cancel(TICKET)
    assert [request.path for request in server.requests] == [f"/api/jobs/{ID}/cancel"]


@pytest.mark.parametrize(
    ("running", "pending", "deletes"),
    [
        ([], [ID, ID], 1),
        ([ID], [ID], 1),
        ([], [ID], 0),
        ([ID], [], 0),
        ([], [], 0),
        ([ID], ["other"], 0),
    ],
)
async def test_a_copy_is_deleted_only_where_there_are_two(client_of, running, pending, deletes):
    def entries(ids):
        return [[n, each, {}, {}, []] for n, each in enumerate(ids)]

    async def say(request):
        if request.method == "GET":
            return json_answer(
                {"queue_running": entries(running), "queue_pending": entries(pending)}
            )
        return answer(200)

    async with wire_server(say) as server:
        await client_of(server).delete_pending_copy(TICKET)
    posted = [request.json() for request in server.requests if request.method == "POST"]
    assert posted == [{"delete": [ID]}] * deletes


async def test_freeing_memory_unloads_the_models(client_of):
    async def say(_):
        return answer(200)

    async with wire_server(say) as server:
        await client_of(server).free_memory()
    assert server.requests[0].path == "/free"
    assert server.requests[0].json() == {"unload_models": True, "free_memory": True}


async def test_an_address_with_a_path_and_a_password_of_its_own_is_kept(client_of):
    async def say(_):
        return json_answer({})

    async with wire_server(say) as server:
        url = server.url.replace("http://", "http://user:secret@") + "/comfy/"
        await client_of(url).node_classes()
        await client_of(url, headers={"authorization": "Bearer t"}).node_classes()
    assert [request.path for request in server.requests] == ["/comfy/object_info"] * 2
    told = [request.headers["authorization"].split()[0] for request in server.requests]
    assert told == ["Basic", "Bearer"]
