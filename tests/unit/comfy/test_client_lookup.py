"""Where prompts are: one read of the queue, then the history of the rest."""

import asyncio
import json

import pytest

from daemon.comfy.lookup import HISTORY_READS_AT_A_TIME
from daemon.comfy.server import FileRef, Sighting, State, Ticket, Unreachable
from tests.fakes.replay import answer, json_answer, recording, replaying, wire_server

EMPTY_QUEUE = {"queue_running": [], "queue_pending": []}


def ticket(prompt_id, task_id="img_1", attempt=1):
    return Ticket(prompt_id=prompt_id, task_id=task_id, attempt=attempt)


def entry(number, prompt_id, extra=None):
    return [number, prompt_id, {"1": {"class_type": "X", "inputs": {}}}, extra or {}, ["1"]]


def answering(queue=None, history=None):
    async def say(request):
        if request.path == "/queue":
            return json_answer(queue or EMPTY_QUEUE)
        prompt_id = request.path.removeprefix("/history/")
        return json_answer({prompt_id: history[prompt_id]} if prompt_id in (history or {}) else {})

    return say


async def seen_at(client_of, prompt_id, **state):
    async with wire_server(answering(**state)) as server:
        return (await client_of(server).look_up([ticket(prompt_id)]))[prompt_id]


async def test_running_and_waiting_prompts_are_found_with_their_rank(generation, client_of):
    recorded = recording(generation, "queue_and_interrupt")
    ids = [f"55555555-5555-4555-8555-55555555555{n}" for n in range(4)]
    async with replaying(recorded["queue"]) as server:
        seen = await client_of(server).look_up([ticket(each) for each in ids[:3]])
    assert seen[ids[0]] == Sighting(state=State.RUNNING)
    in_front = 1 if generation == "v0.3.64" else 0  # there one was pushed to the front
    assert seen[ids[1]] == Sighting(state=State.PENDING, position=in_front)
    assert seen[ids[2]] == Sighting(state=State.PENDING, position=in_front + 1)
    assert [request.path for request in server.requests] == ["/queue"]


@pytest.mark.parametrize(
    ("name", "ref"),
    [
        (
            "image_composition",
            FileRef(node="40", filename="img_00001_.png", subfolder="rows/0067", type="output"),
        ),
        (
            "image_to_video",
            FileRef(node="40", filename="vid_00001_.mp4", subfolder="rows/0068", type="output"),
        ),
        (
            "image_composition_again_cached",
            FileRef(node="40", filename="img_00001_.png", subfolder="rows/0067", type="output"),
        ),
    ],
)
async def test_a_success_tells_its_files_and_times(generation, client_of, name, ref):
    recorded = recording(generation, name)
    (prompt_id,) = recorded["history"]["body"]
    messages = dict(recorded["history"]["body"][prompt_id]["status"]["messages"])
    async with replaying(
        recorded["history"], recording(generation, "after_server_restart")["queue"]
    ) as server:
        seen = (await client_of(server).look_up([ticket(prompt_id)]))[prompt_id]
    assert seen == Sighting(
        state=State.SUCCEEDED,
        outputs=(ref,),
        started_at=messages["execution_start"]["timestamp"] / 1000,
        ended_at=messages["execution_success"]["timestamp"] / 1000,
    )


async def test_a_failure_tells_node_and_message_without_traceback(generation, client_of):
    recorded = recording(generation, "execution_error")
    prompt_id = "44444444-4444-4444-8444-444444444444"
    async with replaying(
        recorded["history"], recording(generation, "after_server_restart")["queue"]
    ) as server:
        seen = (await client_of(server).look_up([ticket(prompt_id)]))[prompt_id]
    assert seen.state is State.FAILED
    assert (seen.error.node_id, seen.error.node_type) == ("10", "LoadImage")
    assert (seen.error.message, seen.error.exception_type) == ("Truncated File Read", "OSError")
    assert not seen.error.out_of_memory
    assert seen.started_at < seen.ended_at


async def test_an_interrupted_prompt_is_no_failure_of_its_own(generation, client_of):
    recorded = recording(generation, "queue_and_interrupt")["history_of_second"]
    prompt_id = "55555555-5555-4555-8555-555555555551"
    async with replaying(
        recorded, recording(generation, "after_server_restart")["queue"]
    ) as server:
        seen = (await client_of(server).look_up([ticket(prompt_id)]))[prompt_id]
    assert (seen.state, seen.error, seen.outputs) == (State.INTERRUPTED, None, ())
    assert seen.started_at < seen.ended_at


async def test_a_restarted_server_knows_nothing_any_more(generation, client_of):
    prompt_id = "66666666-6666-4666-8666-666666666661"
    async with replaying(recording(generation, "after_server_restart")) as server:
        seen = await client_of(server).look_up([ticket(prompt_id)])
    assert seen == {prompt_id: Sighting(state=State.ABSENT)}


async def test_no_tickets_ask_nothing(client_of):
    async with wire_server(answering()) as server:
        assert await client_of(server).look_up([]) == {}
    assert server.requests == []


async def test_an_entry_is_ours_by_our_claim_even_under_another_id(client_of):
    claim = {"task_id": "img_1", "attempt": 2}
    ours = {"rowkeeper": {**claim, "prompt_id": "mine"}, "create_time": 1}
    other_ledgers = {"rowkeeper": {**claim, "prompt_id": "theirs"}}
    queue = {
        "queue_running": [entry(1, "other", other_ledgers)],
        "queue_pending": [entry(2, "third", ours), entry(3, "fourth", {"rowkeeper": "somebody's"})],
    }
    async with wire_server(answering(queue)) as server:
        seen = await client_of(server).look_up([ticket("mine", attempt=2)])
    assert seen == {"mine": Sighting(state=State.PENDING, position=0)}


async def test_copies_of_a_prompt_are_counted_whether_they_run_or_wait(client_of):
    queue = {
        "queue_running": [entry(1, "a")],
        "queue_pending": [entry(2, "b"), entry(3, "a"), entry(4, "b")],
    }
    async with wire_server(answering(queue)) as server:
        seen = await client_of(server).look_up([ticket("a"), ticket("b", "img_2")])
    assert seen["a"] == Sighting(state=State.RUNNING, copies=2)
    assert seen["b"] == Sighting(state=State.PENDING, position=0, copies=2)


async def test_many_absent_prompts_cost_one_queue_read_and_few_questions_at_a_time(client_of):
    asking, most = 0, 0

    async def slowly(request):
        nonlocal asking, most
        if request.path == "/queue":
            return json_answer(EMPTY_QUEUE)
        asking += 1
        most = max(most, asking)
        await asyncio.sleep(0)
        asking -= 1
        return json_answer({})

    async with wire_server(slowly) as server:
        seen = await client_of(server).look_up([ticket(f"p{n}", f"t{n}") for n in range(200)])
    assert {sighting.state for sighting in seen.values()} == {State.ABSENT}
    assert len(seen) == 200
    assert [request.path for request in server.requests].count("/queue") == 1
    assert server.requests[0].path == "/queue"
    assert most <= HISTORY_READS_AT_A_TIME
    assert server.connections <= HISTORY_READS_AT_A_TIME


async def test_half_an_answer_is_no_answer(client_of):
    async def half(request):
        if request.path == "/queue":
            return json_answer(EMPTY_QUEUE)
        return json_answer({}) if request.path.endswith("/p0") else answer(500)

    async with wire_server(half) as server:
        with pytest.raises(Unreachable, match="500"):
            await client_of(server).look_up([ticket(f"p{n}", f"t{n}") for n in range(20)])


async def test_a_prompt_id_cannot_break_out_of_the_path(client_of):
    async with wire_server(answering()) as server:
        await client_of(server).look_up([ticket("../queue?x#y")])
    assert server.requests[1].target == "/history/..%2Fqueue%3Fx%23y"


async def test_every_list_of_files_under_any_key_is_an_output(client_of):
    file = {
        "filename": "a.webp",
        "subfolder": "s",
        "type": "output",
        "format": "image/webp",
        "frame_rate": 8.0,
    }
    outputs = {
        "9": {
            "gifs": [file],
            "audio": [{"filename": "b.flac", "subfolder": "", "type": "temp"}],
            "animated": [True],
            "text": ["hello", None],
            "huge": {"filename": "no"},
            "odd": [{"filename": 3, "type": "output"}, {"filename": "c.png", "type": "output"}],
            "again": [file],
        },
        "10": None,
        "11": {"images": None},
    }
    history = {
        "p": {
            "outputs": outputs,
            "status": {"status_str": "success", "completed": True, "messages": []},
        }
    }
    seen = await seen_at(client_of, "p", history=history)
    assert seen.outputs == (
        FileRef(node="9", filename="a.webp", subfolder="s", type="output"),
        FileRef(node="9", filename="b.flac", subfolder="", type="temp"),
        FileRef(node="9", filename="c.png", subfolder="", type="output"),
    )


def failed(**event):
    return {
        "p": {
            "outputs": {},
            "status": {"status_str": "error", "messages": [["execution_error", event]]},
        }
    }


@pytest.mark.parametrize(
    ("kind", "message", "memory"),
    [
        ("torch.OutOfMemoryError", "Allocation on device", True),
        ("torch.cuda.OutOfMemoryError", "", True),
        ("RuntimeError", "CUDA error: out of memory\nCUDA kernel errors might", True),
        ("RuntimeError", "[enforce fail] DefaultCPUAllocator: not enough memory: you tried", True),
        ("RuntimeError", "[enforce fail] DefaultCPUAllocator: can't allocate memory: you", True),
        ("MemoryError", "", True),
        ("RuntimeError", "size mismatch", False),
        ("ValueError", "memory of elephants", False),
    ],
)
async def test_running_out_of_memory_is_told_from_other_errors(client_of, kind, message, memory):
    seen = await seen_at(
        client_of, "p", history=failed(exception_type=kind, exception_message=message)
    )
    assert seen.error.out_of_memory is memory
    assert seen.error.message


async def test_an_error_message_holds_no_path_of_the_server(client_of):
    said = "No such file: '/home/me/ComfyUI/models/sd.ckpt'\nTraceback (most recent call last):\n  File \"/x/y.py\", line 1\nOSError"
    seen = await seen_at(client_of, "p", history=failed(exception_message=said))
    assert seen.error.message == "No such file: 'sd.ckpt' OSError"


@pytest.mark.parametrize(
    ("history", "state"),
    [
        ({"outputs": {}, "status": None}, State.FAILED),
        ({"outputs": {"1": {"images": [{"filename": "a", "type": "output"}]}}}, State.SUCCEEDED),
        (
            {
                "outputs": {},
                "status": {"status_str": "error", "messages": [["execution_error", "text"]]},
            },
            State.FAILED,
        ),
        (
            {
                "outputs": {},
                "status": {"status_str": "error", "messages": [["execution_interrupted", []]]},
            },
            State.INTERRUPTED,
        ),
        ({}, State.FAILED),
    ],
)
async def test_an_odd_history_entry_still_says_how_it_ended(client_of, history, state):
    seen = await seen_at(client_of, "p", history={"p": history})
    assert seen.state is state
    assert (seen.error is not None) is (state is State.FAILED)


async def test_nan_in_a_history_does_not_make_the_server_unreachable(client_of):
    entry = {
        "prompt": [1, "p", {"1": {"is_changed": [float("nan")]}}],
        "outputs": {},
        "status": {"status_str": "success"},
    }

    async def say(request):
        return (
            json_answer(EMPTY_QUEUE)
            if request.path == "/queue"
            else answer(200, json.dumps({"p": entry}).encode())
        )

    async with wire_server(say) as server:
        seen = await client_of(server).look_up([ticket("p")])
    assert seen["p"].state is State.SUCCEEDED


@pytest.mark.parametrize(
    "said",
    [
        None,
        answer(500),
        answer(502, b"<html>"),
        answer(200, b"<html>"),
        answer(200, b"[]"),
        answer(200, b'{"queue_running": 5, "queue_pending": []}'),
        answer(200, b'{"queue_running": [', {"Content-Length": "99"}),
        answer(302, headers={"Location": "/login"}),
        answer(401),
        b"garbage\r\n\r\n",
    ],
)
async def test_a_read_without_a_usable_answer_is_unreachable(client_of, said):
    async def say(_):
        return said

    async with wire_server(say, drop_after_answer=True) as server:
        with pytest.raises(Unreachable, match="gpu-a at http"):
            await client_of(server).look_up([ticket("p")])
    assert {request.path for request in server.requests} == {"/queue"}


async def test_a_prompt_said_to_have_ended_costs_no_read_of_the_queue_when_it_has(client_of):
    ended = {"outputs": {}, "status": {"status_str": "success", "messages": []}}
    async with wire_server(answering(history={"one": ended})) as server:
        seen = await client_of(server).look_up([ticket("one")], ended={"one"})
    assert seen["one"].state is State.SUCCEEDED
    assert [request.path for request in server.requests] == ["/history/one"]


async def test_a_prompt_said_to_have_ended_is_absent_only_by_queue_and_then_history(client_of):
    async with wire_server(
        answering(queue={**EMPTY_QUEUE, "queue_running": [entry(1, "two")]})
    ) as (server):
        tickets = [ticket("one"), ticket("two")]
        seen = await client_of(server).look_up(tickets, ended={"one", "two"})
    assert (seen["one"].state, seen["two"].state) == (State.ABSENT, State.RUNNING)
    paths = [request.path for request in server.requests]
    assert sorted(paths[:2]) == ["/history/one", "/history/two"]
    assert paths[2:] == ["/queue", "/history/one"]
