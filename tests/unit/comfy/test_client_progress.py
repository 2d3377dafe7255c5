"""The push channel: recorded frames become news, everything else passes by."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import WSMsgType, web

from daemon.comfy.connection import Timeouts
from daemon.comfy.server import Progress, Unreachable
from tests.fakes.replay import answer, recording, wire_server


@asynccontextmanager
async def websocket_server(speak):
    """Serve ``/ws``; *speak* gets the request and the open socket, then it is closed."""

    async def handler(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await speak(request, socket)
        return socket

    app = web.Application()
    app.router.add_get("/ws", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def saying(frames):
    async def speak(_request, socket):
        for frame in frames:
            if isinstance(frame, bytes):
                await socket.send_bytes(frame)
            elif isinstance(frame, str):
                await socket.send_str(frame)
            else:
                await socket.send_json(frame)

    return speak


async def news_from(client_of, frames, **options):
    async with websocket_server(saying(frames)) as url:
        return [news async for news in client_of(url, **options).progress("our-client")]


@pytest.mark.parametrize(
    "name", ["image_composition", "image_to_video", "image_composition_again_cached"]
)
async def test_a_recorded_execution_starts_runs_its_nodes_and_ends(generation, client_of, name):
    recorded = recording(generation, name)
    prompt_id = recorded["submit"]["body"]["prompt_id"]
    news = await news_from(client_of, recorded["websocket"])
    assert news[0] == Progress(prompt_id=prompt_id, event="started")
    assert news[-1] == Progress(prompt_id=prompt_id, event="ended")
    assert [each.event for each in news].count("ended") == 1
    middle = news[1:-1]
    assert {each.event for each in middle} <= {"node"}
    executed = {f["data"]["node"] for f in recorded["websocket"] if f["type"] == "executing"} - {
        None
    }
    assert {each.node for each in middle} == executed


async def test_an_execution_error_ends_it_and_so_does_the_frame_after(generation, client_of):
    recorded = recording(generation, "execution_error")
    news = await news_from(client_of, recorded["websocket"])
    assert [each.event for each in news][-2:] == ["ended", "ended"]


async def test_progress_of_a_node_is_told_in_both_styles(client_of):
    nodes = {
        "3": {"value": 4, "max": 20, "state": "running", "node_id": "3"},
        "2": {"value": 1.0, "max": 1.0, "state": "finished"},
    }
    news = await news_from(
        client_of,
        [
            {"type": "progress", "data": {"value": 3, "max": 20, "prompt_id": "p", "node": "3"}},
            {"type": "progress_state", "data": {"prompt_id": "p", "nodes": nodes}},
            {
                "type": "execution_interrupted",
                "data": {"prompt_id": "p", "node_id": "3", "executed": []},
            },
        ],
    )
    assert news == [
        Progress(prompt_id="p", event="node", node="3", value=3, maximum=20),
        Progress(prompt_id="p", event="node", node="3", value=4, maximum=20),
        Progress(prompt_id="p", event="ended"),
    ]


async def test_frames_we_do_not_know_pass_by(generation, client_of):
    last = {"type": "executing", "data": {"node": None, "prompt_id": "p"}}
    frames = [
        *recording(generation, "websocket_reconnect"),
        b"\x00\x00\x00\x01preview" * 100_000,
        "not json",
        "[]",
        "{}",
        '{"type": 5}',
        '{"type": "crystools.monitor", "data": {"nodes": 7}}',
        '{"type": "progress", "data": {"value": NaN, "prompt_id": "p"}}',
        '{"type": "executing", "data": {"node": null}}',
        '{"type": "execution_success", "data": {"prompt_id": "p"}}',
        {"type": "feature_flags", "data": {"prompt_id": "p", "node": "1"}},
        last,
    ]
    assert await news_from(client_of, frames) == [Progress(prompt_id="p", event="ended")]


async def test_the_connection_is_opened_under_our_client_id_with_our_headers(client_of):
    asked = []

    async def speak(request, _socket):
        asked.append((request.query["clientId"], request.headers["X-Key"]))

    async with websocket_server(speak) as url:
        assert [news async for news in client_of(url, headers={"X-Key": "k"}).progress("c&1")] == []
    assert asked == [("c&1", "k")]


async def test_a_broken_connection_ends_the_news_without_an_error(client_of):
    async def speak(request, socket):
        await socket.send_json({"type": "execution_start", "data": {"prompt_id": "p"}})
        request.transport.abort()

    async with websocket_server(speak) as url:
        news = [news async for news in client_of(url).progress("c")]
    assert len(news) <= 1


async def test_a_server_that_stops_breathing_ends_the_news(client_of):
    """Pings without a pong: the peer is gone though no connection was closed."""

    async def deaf(_request, _socket):
        await asyncio.Event().wait()  # reads nothing, so answers no ping

    async with websocket_server(deaf) as url:
        client = client_of(url, timeouts=Timeouts(websocket_heartbeat_seconds=0.1))
        async with asyncio.timeout(10):
            assert [news async for news in client.progress("c")] == []


async def test_a_quiet_but_breathing_connection_is_kept(client_of):
    async def quiet(_request, socket):
        pings = 0
        while pings < 2:
            message = await socket.receive()
            pings += message.type is WSMsgType.PING
            await socket.pong()
        await socket.send_json({"type": "execution_start", "data": {"prompt_id": "p"}})

    async def handler(request):
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        await quiet(request, socket)
        return socket

    app = web.Application()
    app.router.add_get("/ws", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        # Half of it is the time for a pong; a machine of others may stand still for that long.
        client = client_of(url, timeouts=Timeouts(websocket_heartbeat_seconds=1.5))
        assert [news.event async for news in client.progress("c")] == ["started"]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("status", [200, 302, 404, 401, 500])
async def test_a_server_that_opens_no_websocket_is_unreachable(client_of, status):
    async def say(_):
        return answer(status, headers={"Location": "/elsewhere"})

    async with wire_server(say) as server:
        with pytest.raises(Unreachable, match=str(status)):
            async for _ in client_of(server, headers={"X-Key": "k"}).progress("c"):
                pass
    assert [request.path for request in server.requests] == ["/ws"]


async def test_a_websocket_nobody_answers_is_unreachable(client_of):
    async def hang(_):
        await asyncio.Event().wait()

    async with wire_server(hang) as server:
        with pytest.raises(Unreachable, match="in time"):
            async for _ in client_of(server, timeouts=Timeouts(read_seconds=0.2)).progress("c"):
                pass


async def test_news_can_be_left_at_any_moment_even_of_a_server_that_never_listens(client_of):
    async def endless(_request, socket):
        while not socket.closed:
            await socket.send_json({"type": "execution_start", "data": {"prompt_id": "p"}})
            await asyncio.sleep(0)

    async with websocket_server(endless) as url:
        client = client_of(url, timeouts=Timeouts(websocket_close_seconds=0.2))
        feed = client.progress("c")
        assert (await anext(feed)).event == "started"
        async with asyncio.timeout(10):
            await feed.aclose()
