"""Outcomes of a submission: accepted, refused with words for a person, unknown; and never twice."""

import asyncio
import copy
import json

import pytest

from daemon import failpoint
from daemon.comfy.client import as_workflow_server
from daemon.comfy.connection import Timeouts
from daemon.comfy.server import AnswerLost, Refused, Ticket, Unreachable
from tests.fakes.replay import answer, json_answer, recording, replaying, wire_server

GRAPH = {
    "10": {"class_type": "LoadImage", "inputs": {"image": "a.png"}, "_meta": {"title": "product"}}
}
ID = "11111111-1111-4111-8111-111111111111"
TICKET = Ticket(prompt_id=ID, task_id="img_20261121_000067", attempt=2)


def graph_of(recorded):
    return recorded["submit"]["request"]["json"]["prompt"]


async def test_a_submission_carries_our_id_and_our_claim_and_is_posted_once(generation, client_of):
    recorded = recording(generation, "image_composition")
    async with replaying(recorded) as server:
        client = as_workflow_server(client_of(server, headers={"X-Key": "k"}))
        assert await client.submit(graph_of(recorded), TICKET, "our-client") == ID
    (request,) = server.requests
    assert request.json() == {
        "prompt": graph_of(recorded),
        "prompt_id": ID,
        "client_id": "our-client",
        "extra_data": {
            "rowkeeper": {"task_id": "img_20261121_000067", "attempt": 2, "prompt_id": ID}
        },
    }
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-key"] == "k"


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        (
            "invalid_missing_input_file",
            "missing_input",
            'node "product" (LoadImage): image – Invalid image file: missing.png',
        ),
        (
            "invalid_missing_input_link",
            "rejected",
            "node 30 (ImageBlend): image2 – Required input is missing",
        ),
        (
            "invalid_value_out_of_range",
            "rejected",
            "node 30 (ImageBlend): blend_factor – Value 7.0 bigger than max of 1.0",
        ),
        (
            "invalid_unknown_node",
            "missing_node",
            "node 30 (NoSuchNode): this node is not installed on the server",
        ),
        ("invalid_no_output_node", "rejected", "Prompt has no outputs"),
        ("invalid_no_prompt", "rejected", "No prompt provided"),
    ],
)
async def test_a_refusal_names_node_and_input(generation, client_of, name, kind, message):
    recorded = recording(generation, name)
    graph = graph_of(recorded) if "submit" in recorded else GRAPH
    async with replaying(recorded) as server:
        with pytest.raises(Refused) as refusal:
            await client_of(server).submit(graph, TICKET, "c")
    assert (refusal.value.kind, str(refusal.value)) == (kind, message)


async def test_a_workflow_in_the_format_of_the_page_is_rejected(client_of):
    async with replaying(recording("v0.3.64", "invalid_ui_format")) as server:
        with pytest.raises(
            Refused, match=r"missing the class_type property\. \(Node ID"
        ) as refusal:
            await client_of(server).submit(GRAPH, TICKET, "c")
    assert refusal.value.kind == "rejected"


async def test_a_server_that_stumbles_over_a_workflow_leaves_its_fate_open(client_of):
    """0.33.0 answers the page's format with a 500, like any other accident."""
    async with replaying(recording("v0.33.0", "invalid_ui_format")) as server:
        with pytest.raises(AnswerLost, match="500"):
            await client_of(server).submit(GRAPH, TICKET, "c")


def node_error(kind, details, received, name="ckpt_name"):
    error = {"type": kind, "message": "Value not in list", "details": details}
    error["extra_info"] = {
        "input_name": name,
        "received_value": received,
        "input_config": [["a"], {}],
    }
    return {"errors": [error], "dependent_outputs": ["40"], "class_type": "CheckpointLoaderSimple"}


@pytest.mark.parametrize(
    ("name", "received", "kind"),
    [
        ("ckpt_name", "sd.safetensors", "missing_model"),
        ("clip_name2", "clip", "missing_model"),
        ("model", "flux/wan.gguf", "missing_model"),
        ("sampler_name", "eulr", "rejected"),
        ("blend_mode", "nromal", "rejected"),
        ("video", "clip.mp4", "missing_input"),
    ],
)
async def test_a_value_not_in_the_list_is_told_apart_by_what_it_names(
    client_of, name, received, kind
):
    errors = {
        "4": node_error("value_not_in_list", f"{name}: '{received}' not in ['a']", received, name)
    }
    body = {
        "error": {"type": "x", "message": "m", "details": "", "extra_info": {}},
        "node_errors": errors,
    }

    async def refuse(_):
        return json_answer(body, 400)

    async with wire_server(refuse) as server:
        with pytest.raises(Refused) as refusal:
            await client_of(server).submit(GRAPH, TICKET, "c")
    assert refusal.value.kind == kind
    assert (
        str(refusal.value) == f"node 4 (CheckpointLoaderSimple): {name} – '{received}' not in ['a']"
    )


async def test_of_many_errors_the_deciding_one_is_named_first(client_of):
    errors = {str(n): node_error("required_input_missing", "x", 1, "x") for n in range(20, 30)}
    errors["4"] = node_error("value_not_in_list", "ckpt_name: 'a.ckpt' not in []", "a.ckpt")
    body = {"error": {"type": "x", "message": "m", "details": ""}, "node_errors": errors}

    async def refuse(_):
        return json_answer(body, 400)

    async with wire_server(refuse) as server:
        with pytest.raises(Refused) as refusal:
            await client_of(server).submit(GRAPH, TICKET, "c")
    assert refusal.value.kind == "missing_model"
    assert str(refusal.value).startswith("node 4 (CheckpointLoaderSimple): ckpt_name – 'a.ckpt'")
    assert str(refusal.value).endswith("and 6 more")


@pytest.mark.parametrize("body", [b"too big", b"", b"\xff\xfe", b'{"error": "text"}', b"[1,2"])
async def test_a_4xx_without_comfyuis_body_is_rejected_with_what_was_said(client_of, body):
    async def refuse(_):
        return answer(413, body)

    async with wire_server(refuse) as server:
        with pytest.raises(Refused, match=r"refused the workflow \(413\)") as refusal:
            await client_of(server).submit(GRAPH, TICKET, "c")
    assert refusal.value.kind == "rejected"


async def test_a_refusal_holds_no_path_of_the_server(client_of):
    error = node_error(
        "exception_during_inner_validation", "[Errno 2] '/srv/ComfyUI/models/x.pt'", 1
    )
    body = {"error": {"type": "x", "message": "m", "details": ""}, "node_errors": {"4": error}}

    async def refuse(_):
        return json_answer(body, 400)

    async with wire_server(refuse) as server:
        with pytest.raises(Refused) as refusal:
            await client_of(server).submit(GRAPH, TICKET, "c")
    assert "x.pt" in str(refusal.value)
    assert "/srv" not in str(refusal.value)


async def test_node_errors_inside_a_200_are_a_refusal_and_the_rest_is_taken_back(
    generation, client_of
):
    bad = recording(generation, "invalid_missing_input_file")["submit"]["body"]["node_errors"]
    accepted = {"prompt_id": ID, "number": 1, "node_errors": bad}
    new = generation == "v0.33.0"

    async def dropping(request):
        if request.path == "/prompt":
            return json_answer(accepted)
        if request.path == "/system_stats":
            return json_answer(recording(generation, "system_stats")["body"])
        if request.path.startswith("/api/jobs"):
            return json_answer({"cancelled": True}) if new else answer(405)
        return answer(200)

    async with wire_server(dropping) as server:
        with pytest.raises(Refused, match=r"Invalid image file: missing\.png") as refusal:
            await client_of(server).submit(GRAPH, TICKET, "c")
    assert refusal.value.kind == "missing_input"
    asked = [(request.method, request.path) for request in server.requests]
    assert asked[1] == ("POST", f"/api/jobs/{ID}/cancel")
    assert asked.count(("POST", "/prompt")) == 1
    if not new:
        assert server.requests[2].json() == {"delete": [ID]}
        assert server.requests[-1].json() == {"prompt_id": ID}


async def test_the_refusal_stands_even_when_taking_back_fails(client_of):
    async def dropping(request):
        if request.path != "/prompt":
            return None
        return json_answer({"prompt_id": ID, "node_errors": {"4": node_error("x", "y", 1)}})

    async with wire_server(dropping) as server:
        with pytest.raises(Refused):
            await client_of(server).submit(GRAPH, TICKET, "c")


async def drop(_request):
    return None


async def hang(_request):
    await asyncio.Event().wait()


def saying(said):
    async def say(_request):
        return said

    return say


@pytest.mark.parametrize(
    "answerer",
    [
        drop,
        hang,
        saying(answer(500, b"500 Internal Server Error")),
        saying(answer(502, b"<html>Bad Gateway</html>")),
        saying(answer(504)),
        saying(answer(408)),
        saying(answer(200, b"<html>welcome</html>")),
        saying(answer(200, b"\xff\xfe")),
        saying(answer(200, b'{"prompt_id":"1111', {"Content-Length": "85"})),
        saying(b"HTTP/1.1 2"),
        saying(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    ],
    ids=["drop", "hang", "500", "502", "504", "408", "html", "bytes", "truncated", "head", "ssh"],
)
async def test_without_an_answer_nobody_knows_and_nothing_is_posted_again(client_of, answerer):
    async with wire_server(answerer, drop_after_answer=True) as server:
        client = client_of(server, timeouts=Timeouts(submit_seconds=1.0))
        with pytest.raises(AnswerLost, match="gpu-a"):
            await client.submit(GRAPH, TICKET, "c")
    assert [request.path for request in server.requests] == ["/prompt"]


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 403, 404, 405, 407, 429])
async def test_a_proxy_that_turns_us_away_is_an_unreachable_server_not_a_bad_row(client_of, status):
    def elsewhere(request):
        return request.path == "/elsewhere"

    async def turn_away(request):
        return (
            answer(200)
            if elsewhere(request)
            else answer(status, headers={"Location": "/elsewhere"})
        )

    async with wire_server(turn_away) as server:
        with pytest.raises(Unreachable, match=str(status)):
            await client_of(server).submit(GRAPH, TICKET, "c")
    assert not any(map(elsewhere, server.requests))


async def test_a_refused_connection_is_unreachable(client_of, unused_port):
    with pytest.raises(Unreachable, match="gpu-a at http://127"):
        await client_of(f"http://127.0.0.1:{unused_port}").submit(GRAPH, TICKET, "c")


@pytest.fixture
async def unused_port():
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    return port


async def test_an_unknown_host_is_unreachable(client_of):
    with pytest.raises(Unreachable):
        await client_of("http://nowhere.invalid:1").submit(GRAPH, TICKET, "c")


async def test_a_password_in_the_address_is_never_shown(client_of, unused_port):
    with pytest.raises(Unreachable) as error:
        await client_of(f"http://user:hunter2@127.0.0.1:{unused_port}").submit(GRAPH, TICKET, "c")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])  # an address, and a name
async def test_a_kept_alive_connection_that_died_never_makes_a_submission_doubtful(client_of, host):
    """The server drops idle connections; a POST on one of them would be lost without need."""

    async def answering(request):
        if request.path == "/queue":
            return json_answer({"queue_running": [], "queue_pending": []})
        return json_answer({"prompt_id": ID, "node_errors": {}} if request.method == "POST" else {})

    async with wire_server(answering) as server:
        client = client_of(server.url.replace("127.0.0.1", host))
        await client.look_up([TICKET])
        for _ in range(3):
            await client.submit(GRAPH, TICKET, "c")
    reads = {request.connection for request in server.requests if request.method == "GET"}
    posts = [request.connection for request in server.requests if request.method == "POST"]
    assert len(set(posts)) == 3
    assert not reads & set(posts)


async def test_the_places_around_a_submission_are_reached_in_order(client_of):
    reached = []
    async with wire_server(saying(json_answer({"prompt_id": ID}))) as server:
        failpoint.arm(lambda name: reached.append((name, len(server.requests))))
        try:
            await client_of(server).submit(GRAPH, TICKET, "c")
        finally:
            failpoint.arm(None)
    assert reached == [("comfy.submit.before", 0), ("comfy.submit.after", 1)]


async def test_the_graph_is_sent_byte_identically_every_time(client_of):
    """A late twin is a cache hit only when nothing in it differs."""
    graph = {"1": {"inputs": {"seed": 2**53 - 1, "text": "图", "cfg": 7.0}, "class_type": "K"}}
    async with wire_server(saying(json_answer({"prompt_id": ID}))) as server:
        client = client_of(server)
        await client.submit(graph, TICKET, "c")
        await client.submit(copy.deepcopy(graph), TICKET, "c")
    assert server.requests[0].body == server.requests[1].body
    assert json.loads(server.requests[0].body)["prompt"] == graph
