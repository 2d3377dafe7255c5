"""Starting, stopping, pace, cache, events, and the record of what was executed."""

import asyncio
import os
import signal
import sys
import time

import aiohttp
import pytest
from PIL import Image

from daemon.comfy.simulator import Simulator, read_executions
from tests.fakes.comfy_user import User, plain_graph

CHILD = """
import asyncio, sys
from pathlib import Path
from daemon.comfy.simulator.main import serve
announce = lambda url: print(url, flush=True)
asyncio.run(serve(Path(sys.argv[1]), "127.0.0.1", 0, "0.33.0", float(sys.argv[2]), {}, announce))
"""


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


async def child(folder, seconds_per_job):
    """Start a simulator of its own process; returns it and its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD,
        str(folder),
        str(seconds_per_job),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        return process, (await process.stdout.readline()).decode().strip()


async def test_a_new_start_has_the_same_address_and_files_but_no_memory(tmp_path, session):
    simulator = Simulator(tmp_path)
    await simulator.start()
    user, url = User(simulator.url, session), simulator.url
    entry = await user.make(plain_graph())
    await simulator.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await user.get("/queue")
    await simulator.start()
    assert simulator.url == url
    assert await user.history(entry["prompt"][1]) is None
    assert await user.content(entry["outputs"]["9"]["images"][0])
    again = await user.make(plain_graph())  # the cache is gone too, the counter goes on
    assert again["outputs"]["9"]["images"][0]["filename"] == "plain_00002_.png"
    assert [run.number for run in simulator.executions.all()] == [1, 2]
    await simulator.stop()
    await simulator.stop()  # which is no error


async def test_a_stop_in_the_middle_of_a_job_leaves_no_file_and_no_end(tmp_path, session):
    async with Simulator(tmp_path, seconds_per_job=60) as simulator:
        user = User(simulator.url, session)
        await user.runs(await user.submit(plain_graph("cut"), task_id="img_1"))
    assert not list((tmp_path / "output").iterdir())
    (run,) = read_executions(tmp_path)
    assert (run.task_id, run.ended_at, run.result) == ("img_1", None, None)


async def test_a_killed_process_is_seen_in_the_record_of_the_next(tmp_path, session):
    process, url = await child(tmp_path, 60)
    user = User(url, session)
    await user.runs(await user.submit(plain_graph("cut"), task_id="img_1"))
    async with asyncio.timeout(10):
        while not read_executions(tmp_path):
            await asyncio.sleep(0.005)
    process.kill()
    await process.wait()
    async with Simulator(tmp_path) as simulator:
        await User(simulator.url, session).make(plain_graph("cut"), task_id="img_1")
        assert simulator.executions.per_task() == {"img_1": 2}
    assert [run.result for run in read_executions(tmp_path)] == [None, "success"]


async def test_the_program_ends_at_sigterm(tmp_path, session):
    process, url = await child(tmp_path, 0)
    assert await User(url, session).get("/queue")
    os.kill(process.pid, signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), timeout=10) == 0


async def test_a_taken_port_is_an_error(tmp_path):
    async with Simulator(tmp_path / "a") as first:
        port = int(first.url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="in use"):
            await Simulator(tmp_path / "b", port=port).start()


async def test_two_servers_in_one_process_are_strangers(tmp_path, session):
    async with Simulator(tmp_path / "a") as one, Simulator(tmp_path / "b") as other:
        entry = await User(one.url, session).make(plain_graph())
        assert await User(other.url, session).history(entry["prompt"][1]) is None
        assert (len(one.executions), len(other.executions)) == (1, 0)


async def test_a_job_takes_the_time_it_is_told_and_a_new_kind_of_graph_more(tmp_path, session):
    async with Simulator(tmp_path, seconds_per_job=0.2) as simulator:
        user = User(simulator.url, session)
        began = time.monotonic()
        await user.make(plain_graph("a"))
        assert time.monotonic() - began >= 0.2
        simulator.pace.seconds_per_job = 0
        simulator.pace.model_switch_seconds = 0.2
        began = time.monotonic()
        await user.make(plain_graph("b"))
        same_kind = time.monotonic() - began
        video = plain_graph("c") | {"8": dict(plain_graph("d")["1"])}
        video["9"] = {
            "class_type": "SaveAnimatedWEBP",
            "inputs": {
                "images": ["1", 0],
                "filename_prefix": "c",
                "fps": 6,
                "lossless": True,
                "quality": 80,
                "method": "fastest",
            },
        }
        began = time.monotonic()
        await user.make(video)
        assert time.monotonic() - began >= 0.2 > same_kind


async def test_an_interrupt_ends_a_long_job_at_once_and_only_the_one_named(tmp_path, session):
    async with Simulator(tmp_path, seconds_per_job=60) as simulator:
        user = User(simulator.url, session)
        first, second = [await user.submit(plain_graph(p)) for p in "ab"]
        await user.runs(first)
        await user.post("/interrupt", {"prompt_id": second})
        assert await user.history(first) is None
        await user.post("/interrupt", {"prompt_id": first})
        entry = await user.finished(first)
        assert entry["status"]["messages"][-1][0] == "execution_interrupted"
        await user.runs(second)
        await user.post("/interrupt", {})
        assert (await user.finished(second))["status"]["completed"] is False
        assert [run.result for run in simulator.executions.all()] == ["interrupted"] * 2


async def test_a_byte_identical_graph_is_a_cache_hit_and_no_execution(tmp_path, session):
    async with Simulator(tmp_path) as simulator:
        user = User(simulator.url, session)
        first = await user.make(
            plain_graph("x"), prompt_id=(twin := "11111111-1111-4111-8111-111111111111")
        )
        second = await user.make(plain_graph("x"))
        assert second["outputs"] == first["outputs"]
        other = await user.make(plain_graph("y"))
        assert other["outputs"] != first["outputs"]
        assert simulator.executions.per_prompt()[twin] == 1
        assert len(simulator.executions) == 2
        assert len(list((tmp_path / "output").iterdir())) == 2
        await user.post("/free", {"free_memory": True})
        third = await user.make(plain_graph("x"))
        assert third["outputs"] != first["outputs"]


@pytest.mark.parametrize(("version", "remembers"), [("0.3.64", False), ("0.33.0", True)])
async def test_only_the_newer_generation_remembers_beyond_the_prompt_before(
    tmp_path, session, version, remembers
):
    async with Simulator(tmp_path, version=version) as simulator:
        user = User(simulator.url, session)
        for prefix, color in (("x", 1), ("y", 2), ("x", 1)):
            await user.make(plain_graph(prefix, color))
        assert (len(simulator.executions) == 2) is remembers


async def test_a_changed_picture_under_the_same_name_is_no_cache_hit(tmp_path, session):
    graph = plain_graph()
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": "in.png"}}
    async with Simulator(tmp_path) as simulator:
        user = User(simulator.url, session)
        picture = tmp_path / "input" / "in.png"
        for color in ("red", "blue"):
            Image.new("RGB", (4, 4), color).save(picture)
            await user.make(graph)
        assert len(simulator.executions) == 2


async def test_execution_events_go_to_the_prompts_own_socket_only(tmp_path, session):
    async with Simulator(tmp_path) as simulator:
        user = User(simulator.url, session)
        async with (
            session.ws_connect(f"{user.url}/ws?clientId=mine") as mine,
            session.ws_connect(f"{user.url}/ws?clientId=other") as other,
        ):
            await user.make(plain_graph("a"), client_id="mine")
            await user.make(plain_graph("b"), client_id="other")
            seen = {
                name: await until_end(socket) for name, socket in (("mine", mine), ("other", other))
            }
    for name, frames in seen.items():
        prompts = {f["data"].get("prompt_id") for f in frames if f["type"] != "status"}
        assert len(prompts) == 1, name
    assert seen["mine"][-1]["data"]["prompt_id"] != seen["other"][-1]["data"]["prompt_id"]


async def test_the_history_knows_a_prompt_when_its_last_frame_arrives(tmp_path, session):
    async with Simulator(tmp_path) as simulator:
        user = User(simulator.url, session)
        async with session.ws_connect(f"{user.url}/ws?clientId=user") as socket:
            for n in range(20):
                prompt_id = await user.submit(plain_graph(str(n)))
                await until_end(socket)
                assert await user.history(prompt_id) is not None


async def until_end(socket):
    frames = []
    async with asyncio.timeout(10):
        async for message in socket:
            frames.append(message.json())
            if frames[-1]["type"] == "executing" and frames[-1]["data"]["node"] is None:
                break
    return frames


async def test_a_returning_client_is_told_the_node_that_runs(tmp_path, session):
    async with Simulator(tmp_path, seconds_per_job=60) as simulator:
        user = User(simulator.url, session)
        await user.runs(await user.submit(plain_graph()))
        async with asyncio.timeout(10):
            while not simulator.executions.all():
                await asyncio.sleep(0.002)
        async with session.ws_connect(f"{user.url}/ws?clientId=user") as socket:
            assert (await socket.receive_json(timeout=5))["type"] == "status"
            told = await socket.receive_json(timeout=5)
            assert (told["type"], told["data"]["node"]) == ("executing", "1")


async def test_every_route_is_served_under_api_too(tmp_path, session):
    async with Simulator(tmp_path) as simulator:
        user = User(f"{simulator.url}/api", session)
        entry = await user.make(plain_graph())
        assert (await user.pictures(entry))[0].size == (8, 8)
        assert await user.get("/system_stats") == await User(simulator.url, session).get(
            "/system_stats"
        )


async def test_history_and_queue_are_cleared_on_request(tmp_path, session):
    async with Simulator(tmp_path) as simulator:
        user = User(simulator.url, session)
        ids = [(await user.make(plain_graph(str(n))))["prompt"][1] for n in range(3)]
        await user.post("/history", {"delete": [ids[0], "unknown"]})
        assert list(await user.get("/history")) == ids[1:]
        assert list(await user.get("/history?max_items=1")) == ids[2:]
        await user.post("/history", {"clear": True})
        assert await user.get("/history") == {}
        simulator.pace.seconds_per_job = 60
        running = await user.submit(plain_graph("r"))
        await user.runs(running)
        for n in range(3):
            await user.submit(plain_graph(f"w{n}"))
        await user.post("/queue", {"clear": True})
        queue = await user.get("/queue")
        assert ([p[1] for p in queue["queue_running"]], queue["queue_pending"]) == ([running], [])
