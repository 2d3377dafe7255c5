"""Each fault on order does what its name says, and what it leaves behind is what tests rely on."""

import asyncio
import uuid
from collections import Counter

import aiohttp
import pytest
from PIL import Image

from daemon.comfy.simulator import Fault, Faults, Simulator, read_executions
from tests.fakes.comfy_user import User, node, plain_graph


@pytest.fixture(params=["0.3.64", "0.33.0"])
async def simulator(request, tmp_path):
    async with Simulator(tmp_path, version=request.param) as running:
        yield running


@pytest.fixture
async def user(simulator):
    async with aiohttp.ClientSession() as session:
        yield User(simulator.url, session)


async def post_broken(user, prompt_id, **more):
    """Submit where the answer is not a 200; returns the status, or None when none came."""
    body = {"prompt": plain_graph(prompt_id), "prompt_id": prompt_id, **more}
    try:
        return (await user.post("/prompt", body))[0]
    except aiohttp.ClientConnectionError:
        return None


def new_id():
    return str(uuid.uuid4())


async def test_a_lost_answer_leaves_an_accepted_prompt(simulator, user):
    simulator.faults.next("lost_answer")
    prompt_id = new_id()
    assert await post_broken(user, prompt_id) is None
    assert (await user.finished(prompt_id))["status"]["completed"]
    assert simulator.executions.per_prompt() == {prompt_id: 1}


async def test_an_error_before_accepting_queues_nothing_and_one_after_does(simulator, user):
    simulator.faults.next("error_before_accept")
    before, after = new_id(), new_id()
    assert await post_broken(user, before) == 500
    simulator.faults.next("error_after_accept")
    assert await post_broken(user, after) == 500
    await user.finished(after)
    assert await user.history(before) is None
    assert simulator.executions.per_prompt() == {after: 1}


async def test_a_slow_acceptance_shows_up_late_even_when_nobody_waits_for_it(simulator, user):
    simulator.faults.next("slow_accept", seconds=0.5)
    prompt_id = new_id()
    impatient = asyncio.create_task(user.submit(plain_graph(), prompt_id=prompt_id))
    async with asyncio.timeout(10):
        while not simulator.faults.struck["slow_accept"]:
            await asyncio.sleep(0.002)
    impatient.cancel()
    assert await user.get("/queue") == {"queue_running": [], "queue_pending": []}
    assert await user.history(prompt_id) is None
    assert await user.finished(prompt_id)


async def test_node_errors_in_a_200_drop_the_output(simulator, user):
    simulator.faults.next("node_errors_in_200")
    prompt_id = new_id()
    body = {"prompt": plain_graph(), "prompt_id": prompt_id}
    async with user.session.post(f"{user.url}/prompt", json=body) as answer:
        assert answer.status == 200
        assert set((await answer.json())["node_errors"]) == {"9"}
    assert (await user.finished(prompt_id))["outputs"] == {}
    assert len(simulator.executions) == 0


async def test_a_cached_success_reports_an_older_file_and_executes_nothing(simulator, user):
    older = await user.make(plain_graph("older"))
    simulator.faults.next("cached_success")
    entry = await user.make(plain_graph("newer"))
    assert entry["status"]["status_str"] == "success"
    assert entry["outputs"] == older["outputs"]
    assert len(simulator.executions) == 1


async def test_a_truncated_file_breaks_off_and_a_corrupt_one_has_the_right_length(simulator, user):
    entry = await user.make(plain_graph())
    (file,) = entry["outputs"]["9"]["images"]
    whole = await user.content(file)
    simulator.faults.next("truncated_view")
    with pytest.raises(aiohttp.ClientPayloadError):
        await user.content(file)
    simulator.faults.next("corrupt_view")
    corrupt = await user.content(file)
    assert len(corrupt) == len(whole)
    assert corrupt != whole
    assert await user.content(file) == whole
    simulator.faults.next("truncated_view")
    headers = {"Range": f"bytes={len(whole) // 2}-"}
    async with user.session.get(f"{user.url}/view", params=file, headers=headers) as answer:
        assert answer.status == 206
        assert answer.content_length == len(whole) - len(whole) // 2
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def heard(user, client_id, graph):
    """Return the types of frames after the greeting that a socket gets while a graph runs."""
    async with user.session.ws_connect(f"{user.url}/ws?clientId={client_id}") as socket:
        greeting = (await socket.receive(timeout=5)).json()
        assert greeting["data"]["sid"] == client_id
        await user.make(graph, client_id=client_id)
        marker = asyncio.create_task(socket.receive())
        await asyncio.wait([marker], timeout=0.1)
        if not marker.done():
            marker.cancel()
            return []
        return [marker.result().json()["type"]]


async def test_a_silent_websocket_greets_and_says_no_more(simulator, user):
    simulator.faults.next("silent_websocket")
    assert await heard(user, "a", plain_graph("1")) == []
    assert await heard(user, "a", plain_graph("2")) != []


async def test_a_reconnect_goes_deaf_until_another_id_is_used(simulator, user):
    simulator.faults.set("deaf_reconnect")
    assert await heard(user, "a", plain_graph("1")) != []
    assert await heard(user, "a", plain_graph("2")) == []
    assert await heard(user, "b", plain_graph("3")) != []


async def test_running_out_of_memory_is_told_as_torch_tells_it(simulator, user):
    simulator.faults.next("out_of_memory")
    entry = await user.make(plain_graph(), task_id="img_1")
    event, told = entry["status"]["messages"][-1]
    assert (event, told["exception_type"]) == ("execution_error", "torch.OutOfMemoryError")
    assert "out of memory" in told["exception_message"]
    assert "/ComfyUI/" in told["traceback"][0]
    assert (entry["status"]["status_str"], entry["outputs"]) == ("error", {})
    assert (await user.make(plain_graph()))["status"]["status_str"] == "success"


async def test_a_failure_can_be_aimed_at_a_task_a_picture_or_a_prompt(simulator, user):
    name = await user.upload("bad.png", Image.new("RGB", (4, 4)))
    simulator.faults.set("execution_error", target="img_7")
    simulator.faults.set("execution_error", target=name)
    simulator.faults.set("execution_error", target=(aimed := new_id()))
    with_picture = {
        "1": node("LoadImage", image=name),
        "9": node("SaveImage", images=["1", 0], filename_prefix="p"),
    }
    ends = [
        await user.make(plain_graph("a"), task_id="img_7"),
        await user.make(plain_graph("b"), task_id="img_7", attempt=2),
        await user.make(with_picture),
        await user.make(plain_graph("c"), prompt_id=aimed),
        await user.make(plain_graph("d"), task_id="img_8"),
    ]
    assert [e["status"]["status_str"] for e in ends] == [*["error"] * 4, "success"]
    assert simulator.executions.per_task() == {"img_7": 2, "img_8": 1}
    assert simulator.executions.per_attempt()["img_7", 2] == 1


async def test_a_restart_in_the_middle_forgets_all_but_the_files(simulator, user, tmp_path):
    kept = await user.make(plain_graph("kept"))
    simulator.faults.next("restart", target="img_1")
    simulator.faults.next("slow", target="img_1", seconds=0.4)  # so that another can wait
    lost = await user.submit(plain_graph("lost"), task_id="img_1")
    waiting = await user.submit(plain_graph("waiting"))
    await forgotten(user, kept["prompt"][1])
    assert await user.get("/history") == {}
    assert await user.get("/queue") == {"queue_running": [], "queue_pending": []}
    assert await user.content(kept["outputs"]["9"]["images"][0])
    assert not list((tmp_path / "output").glob("lost*"))
    began = {run.prompt_id: run for run in read_executions(tmp_path)}
    assert began[lost].ended_at is None
    assert waiting not in began
    await user.make(plain_graph("lost"), task_id="img_1")
    assert simulator.executions.per_task() == {"img_1": 2}


async def test_a_restart_while_writing_leaves_half_a_file(simulator, user, tmp_path):
    prompt_id = await user.submit(plain_graph("whole", size=64))
    whole = (await user.finished(prompt_id))["outputs"]["9"]["images"][0]
    size_bytes = len(await user.content(whole))
    simulator.faults.next("half_written_output")
    await user.submit(plain_graph("half", color=1, size=64))
    await forgotten(user, prompt_id)
    half = (tmp_path / "output" / "half_00001_.png").stat().st_size
    assert 0 < half < size_bytes


async def forgotten(user, prompt_id):
    """Wait until the server answers and knows nothing of this prompt."""
    async with asyncio.timeout(10):
        while True:
            try:
                history, queue = await user.history(prompt_id), await user.get("/queue")
                if history is None and prompt_id not in str(queue):
                    return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.01)


async def test_refused_connections_come_back_with_history_and_work_done(simulator, user):
    before = await user.make(plain_graph("before"))
    simulator.faults.next("refuse", seconds=0.3)
    assert await post_broken(user, refused := new_id()) is None
    with pytest.raises(aiohttp.ClientConnectorError):
        await user.get("/queue")
    async with asyncio.timeout(5):
        while True:
            try:
                entry = await user.history(before["prompt"][1])
                break
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)
    assert entry == before
    assert await user.history(refused) is None


async def test_a_restart_ordered_while_connections_are_refused_still_happens(simulator, user):
    simulator.faults.next("slow", target="img_1", seconds=0.2)
    simulator.faults.next("restart", target="img_1")
    lost = await user.submit(plain_graph(), task_id="img_1")
    await user.runs(lost)
    simulator.faults.next("refuse", seconds=0.4)
    assert await post_broken(user, new_id()) is None
    await forgotten(user, lost)
    (run,) = read_executions(simulator.folder)
    assert (run.prompt_id, run.ended_at) == (lost, None)
    assert (await user.make(plain_graph()))["status"]["completed"]


async def test_a_missing_class_is_in_no_list_and_its_graphs_are_refused(simulator, user):
    simulator.faults.set("missing_class", target="EmptyImage")
    assert "EmptyImage" not in await user.get("/object_info")
    assert await user.get("/object_info/EmptyImage") == {}
    status, _ = await user.post("/prompt", {"prompt": plain_graph()})
    assert status == 400
    simulator.faults.clear("missing_class")
    assert "EmptyImage" in await user.get("/object_info")


async def test_faults_are_ordered_while_the_server_runs(user):
    await user.post("/simulator/faults", {"name": "error_before_accept", "next": 1})
    assert await post_broken(user, new_id()) == 500
    prompt_id = new_id()
    assert await post_broken(user, prompt_id) == 200
    told = await user.get("/simulator/faults")
    assert (told["rules"], told["struck"]) == ([], {"error_before_accept": 1})
    assert (await user.post("/simulator/faults", {"name": "no_such_fault"}))[0] == 400
    await user.post("/simulator/faults", {"name": "slow", "probability": 0.5, "seconds": 9})
    assert len((await user.get("/simulator/faults"))["rules"]) == 1
    await user.post("/simulator/faults", {"clear": True})
    assert (await user.get("/simulator/faults"))["rules"] == []
    await user.finished(prompt_id)
    (run,) = (await user.get("/simulator/executions"))["executions"]
    assert (run["prompt_id"], run["result"]) == (prompt_id, "success")


def test_a_probability_is_kept_in_the_long_run_and_by_the_seed():
    faults = [Faults({"slow": 0.25}, seed=7) for _ in range(2)]
    struck = [[f.strike(Fault.SLOW) is not None for _ in range(2000)] for f in faults]
    assert struck[0] == struck[1]
    assert 400 < Counter(struck[0])[True] < 600
    assert faults[0].struck["slow"] == Counter(struck[0])[True]


@pytest.mark.parametrize(
    "rates", [{"nonsense": 0.1}, {"slow": 1.5}, {"missing_class": 1.0}, {"refuse.seconds": 3.0}]
)
def test_a_bad_order_is_refused_with_what_would_be_right(rates):
    with pytest.raises(
        ValueError, match=r"nonsense|between 0 and 1|needs a target|without the fault"
    ):
        Faults(rates)


def test_an_order_may_name_its_target_and_its_seconds():
    faults = Faults({"missing-class:SaveVideo": 1, "slow:img_1": 1, "slow.seconds": 7})
    assert faults.missing("SaveVideo")
    assert faults.strike(Fault.SLOW, "img_2") is None
    assert faults.strike(Fault.SLOW, "img_1").seconds == 7
