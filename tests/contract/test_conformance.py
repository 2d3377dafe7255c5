"""The simulator answers as two real ComfyUI servers did, request by request.

Every recording under ``fakes/recordings`` is replayed over HTTP against a fresh simulator of the
same version, set up as it was for the recording. With ``COMFYUI_URL`` set, the same tests run
against that server instead (recordings of its generation; those that need a restart are skipped).

What is compared, and how exactly, stands in ``fakes/likeness``.
"""

import asyncio
import io
import json
import os
import re

import aiohttp
import pytest

from daemon.comfy.simulator import Simulator
from tests.fakes.likeness import (
    cached_nodes,
    events,
    of,
    same_entries,
    same_headers,
    same_keys,
    same_order,
    same_shape,
    without_status,
)
from tests.fakes.recorded_server import RECORDINGS, RecordedServer, png

COMFYUI_URL = os.environ.get("COMFYUI_URL", "").rstrip("/")

VERSIONS = sorted(
    folder.name.removeprefix("v") for folder in RECORDINGS.iterdir() if folder.is_dir()
)
REFUSED = [
    "invalid_missing_input_file",
    "invalid_missing_input_link",
    "invalid_no_output_node",
    "invalid_unknown_node",
    "invalid_value_out_of_range",
]
EMPTY = {"width": 64, "height": 64, "batch_size": 1, "color": 0}
PLAIN = ["features", "history_unknown", "invalid_no_prompt", "invalid_ui_format", "system_stats"]
OWN_TEST = {
    "after_server_restart",
    "execution_error",
    "history_list",
    "image_composition",
    "image_composition_again_cached",
    "image_to_video",
    "internal_files_output",
    "invalid_body_not_json",
    "jobs_api",
    "jobs_endpoint_absent",
    "jobs_list",
    "object_info",
    "queue_and_interrupt",
    "same_inputs_other_prefix_with_extra_data",
    "same_prompt_id_twice",
    "upload_image",
    "upload_too_large",
    "view",
    "view_head",
    "websocket_reconnect",
}


@pytest.fixture(params=VERSIONS)
async def server(request, tmp_path):
    version = request.param
    if not COMFYUI_URL:
        simulator = Simulator(tmp_path, version=version)
        async with simulator, aiohttp.ClientSession() as session:
            yield RecordedServer(version, simulator.url, session, simulator)
        return
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{COMFYUI_URL}/system_stats") as answer:
            theirs = (await answer.json())["system"]["comfyui_version"]
        if theirs.startswith("0.3.") != version.startswith("0.3."):
            pytest.skip(f"the server at COMFYUI_URL is a {theirs}, the recording a {version}")
        yield RecordedServer(version, COMFYUI_URL, session, None)


def test_every_recording_is_replayed():
    recorded = {path.stem for path in RECORDINGS.glob("v*/*.json")}
    assert recorded == OWN_TEST | set(REFUSED) | set(PLAIN)


@pytest.mark.parametrize("name", PLAIN)
async def test_a_plain_question_is_answered_alike(server, name):
    await server.expect_alike(server.recording(name))


@pytest.mark.parametrize("name", REFUSED)
async def test_a_bad_prompt_is_refused_to_the_letter(server, name):
    await server.pictures()
    recorded = server.recording(name)["submit"]
    assert await server.expect_alike(recorded) == recorded["body"]


async def test_a_body_that_is_no_json_breaks_the_server_alike(server):
    await server.expect_alike(server.recording("invalid_body_not_json"), data=b"this is not json")


@pytest.mark.parametrize("name", ["image_composition", "image_to_video", "execution_error"])
async def test_a_prompt_runs_with_the_same_frames_and_leaves_the_same_history(server, name):
    await server.pictures()
    recorded = server.recording(name)
    if name != "image_composition":  # it ran before and left its pictures in the cache
        await server.make(server.recording("image_composition"))
    await expect_run_alike(server, recorded)


async def test_a_picture_whose_end_is_missing_runs_all_the_same(server):
    await server.pictures()
    await server.broken_picture(60)  # amid its pixels
    submit = server.recording("execution_error")["submit"]
    await server.expect_alike(submit)
    history = await server.finished(submit["request"]["json"]["prompt_id"])
    assert history["status"]["status_str"] == "success"
    assert history["outputs"]["40"]["images"]


async def test_the_same_graph_again_is_answered_from_the_cache_alike(server):
    await server.pictures()
    await server.make(server.recording("image_composition"))
    recorded = server.recording("image_composition_again_cached")
    history = await expect_run_alike(server, recorded)
    before = recorded["history"]["body"]
    assert history["outputs"] == next(iter(before.values()))["outputs"]


async def test_extra_data_comes_back_alike(server):
    await server.pictures()
    await server.make(server.recording("image_composition"))
    recorded = server.recording("same_inputs_other_prefix_with_extra_data")
    history = await expect_run_alike(server, recorded)
    sent = recorded["submit"]["request"]["json"]["extra_data"]
    assert history["prompt"][3].items() >= sent.items()


async def test_the_same_prompt_id_twice_is_queued_twice(server):
    await server.pictures()
    recorded = server.recording("same_prompt_id_twice")
    first = await server.expect_alike(recorded["first"])
    second = await server.expect_alike(recorded["second"])
    assert first["prompt_id"] == second["prompt_id"] == recorded["first"]["body"]["prompt_id"]
    assert second["number"] == first["number"] + 1
    async with asyncio.timeout(30):
        while (await server.finished(first["prompt_id"]))["prompt"][0] != second["number"]:
            await asyncio.sleep(0.005)
    history = await server.finished(first["prompt_id"])
    assert cached_nodes(history) == set(recorded["second"]["request"]["json"]["prompt"])
    assert history["outputs"]["40"]["images"][0]["filename"] == "img_00001_.png"


async def test_queueing_deleting_and_interrupting_answer_alike(server):
    await server.pictures()
    recorded = server.recording("queue_and_interrupt")
    ids = [one["request"]["json"]["prompt_id"] for one in recorded["submitted"]]
    for held in (ids[0], ids[1]):
        server.holds(held)
    async with server.listen() as socket:
        frames = asyncio.create_task(server.frames_until(socket, ids[1]))
        for submitted in recorded["submitted"]:
            await server.expect_alike(submitted)
        assert (await server.expect_alike(recorded["submitted_front"]))["number"] < 0
        for name in ("prompt_info", "delete", "delete_unknown"):
            await server.expect_alike(recorded[name])
        same_entries(
            recorded["queue"]["body"], (await server.ask(recorded["queue"]["request"]))["body"]
        )
        assert ids[2] not in json.dumps((await server.ask(recorded["queue"]["request"]))["body"])
        for name in ("history_of_deleted", "interrupt_unknown", "interrupt"):
            await server.expect_alike(recorded[name])
        first = await server.finished(ids[0])
        await server.runs(ids[1])
        await server.expect_alike(recorded["interrupt_all"])
        second = await server.finished(ids[1])
        seen = await frames
    # Interrupts can come too late in a real server (0.33's first one did); the second entry of both
    # recordings is one that came in time.
    in_time = recorded["history_of_second"]["body"][ids[1]]
    for history in (first, second):
        if server.simulator is not None or history["status"]["status_str"] == "error":
            assert events(history) == events(in_time)
            same_shape(in_time["status"], history["status"])
            assert history["outputs"] == {}
    same_order(
        without_status(of(recorded["websocket"], ids[1])),
        without_status(of(seen, ids[1])),
        cut=True,
    )


async def test_a_restart_forgets_queue_and_history_but_not_the_files(server):
    if server.simulator is None:
        pytest.skip("a real server cannot be restarted from here")
    await server.pictures()
    await server.make(server.recording("same_inputs_other_prefix_with_extra_data"))
    await server.simulator.restart()
    for recorded in server.recording("after_server_restart").values():
        await server.expect_alike(recorded)


async def test_files_are_served_alike(server):
    await server.pictures()
    await server.make(server.recording("image_composition"))
    await server.make(server.recording("image_to_video"))
    await server.make(server.recording("same_inputs_other_prefix_with_extra_data"))
    for recorded in server.recording("view"):
        part = {"headers": {"Range": "bytes=0-9"}} if recorded["status"] == 206 else {}
        await server.expect_alike(recorded, **part)
    await server.expect_alike(server.recording("view_head"))


async def test_uploads_are_named_alike(server):
    first, other = png(10), png(20)
    contents = [first, first, other, first, first, first]
    for recorded, content in zip(server.recording("upload_image"), contents, strict=True):
        fields = dict(recorded["request"]["multipart"])
        answer = await server.upload(fields.pop("image"), content, **fields)
        assert answer["status"] == recorded["status"]
        same_headers(recorded["headers"], answer["headers"])
        assert answer["body"] == recorded["body"]


async def test_an_upload_above_100_mb_is_refused_alike(server):
    recorded = server.recording("upload_too_large")
    content = io.BytesIO(bytes(int(re.search(r"\d+", recorded["body"]).group()) + 1))
    answer = await server.upload("large.png", content)
    assert answer["status"] == recorded["status"]
    same_headers(recorded["headers"], answer["headers"])
    assert answer["body"].startswith("Maximum request body size 104857600 exceeded")


async def test_node_classes_are_described_alike(server):
    await server.pictures()
    for name, body in server.recording("object_info").items():
        if name == "KSampler" and server.simulator is not None:
            continue  # needs a model; the simulator has core nodes without models only
        answer = await server.ask({"method": "GET", "path": f"/object_info/{name}"})
        assert answer["status"] == 200
        same_shape(body, answer["body"])
    everything = await server.ask({"method": "GET", "path": "/object_info"})
    assert {"LoadImage", "SaveImage", "SaveVideo"} <= set(everything["body"])


async def test_finished_prompts_are_listed_alike(server):
    await server.pictures()
    await server.make(server.recording("image_composition"))
    await server.make(server.recording("image_to_video"))
    recorded = server.recording("history_list")
    answer = await server.ask(recorded["request"])
    assert answer["status"] == recorded["status"]
    assert len(answer["body"]) == len(recorded["body"])
    whole = server.recording("image_composition")["history"]["body"]
    for entry in answer["body"].values():
        same_keys(next(iter(whole.values())), entry)


async def test_the_files_of_a_folder_are_listed_alike(server):
    recorded = server.recording("internal_files_output")
    answer = await server.ask(recorded["request"])
    assert answer["status"] == recorded["status"]
    same_headers(recorded["headers"], answer["headers"])
    assert isinstance(answer["body"], list)


async def test_a_websocket_is_greeted_alike(server):
    for _ in range(2):  # a second connection under the same id is greeted like the first
        async with server.listen() as socket:
            greeting = (await socket.receive(timeout=5)).json()
        (recorded,) = server.recording("websocket_reconnect")
        same_shape(recorded, greeting)
        assert greeting["data"]["sid"] == recorded["data"]["sid"]


@pytest.mark.parametrize("server", ["0.3.64"], indirect=True)  # seen at it only
@pytest.mark.parametrize(("link", "details"), [(["99", 0], "'99'"), (["1", 5], "tuple index")])
async def test_a_link_to_nowhere_is_told_where_it_is_caught(server, link, details):
    for last, node, kind in (
        (link, "40", "exception_during_validation"),
        (["2", 0], "2", "exception_during_inner_validation"),
    ):
        graph = {
            "1": {"class_type": "EmptyImage", "inputs": EMPTY},
            "2": {"class_type": "RepeatImageBatch", "inputs": {"image": link, "amount": 1}},
            "40": {"class_type": "SaveImage", "inputs": {"images": last, "filename_prefix": "x"}},
        }
        ask = {"method": "POST", "path": "/prompt", "json": {"prompt": graph}}
        answer = await server.ask(ask)
        assert answer["status"] == 400
        (error,) = answer["body"]["node_errors"][node]["errors"]
        assert error["type"] == kind
        assert error["details"].startswith(details)


@pytest.mark.parametrize("server", ["0.3.64"], indirect=True)  # seen at it only
@pytest.mark.parametrize(("width", "codec"), [(65, "auto"), (64, "vp9")])
async def test_a_video_that_cannot_be_encoded_is_found_out_only_when_it_is_saved(
    server, width, codec
):
    prompt_id = server.recording("image_to_video")["submit"]["request"]["json"]["prompt_id"]
    saved = {"video": ["2", 0], "filename_prefix": "x", "format": "auto", "codec": codec}
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {**EMPTY, "width": width}},
        "2": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 12}},
        "40": {"class_type": "SaveVideo", "inputs": saved},
    }
    body = {"prompt": graph, "prompt_id": prompt_id}
    answer = await server.ask({"method": "POST", "path": "/prompt", "json": body})
    assert answer["status"] == 200
    history = await server.finished(prompt_id)
    assert (events(history)[-1], history["outputs"]) == ("execution_error", {})


@pytest.mark.parametrize("server", ["0.3.64"], indirect=True)  # recorded with it only
async def test_the_older_generation_has_no_jobs(server):
    await server.expect_alike(server.recording("jobs_endpoint_absent"))


@pytest.mark.parametrize("server", ["0.33.0"], indirect=True)  # recorded with it only
async def test_jobs_are_listed_shown_and_cancelled_alike(server):
    await server.pictures()
    jobs = server.recording("jobs_api")
    for name in (
        "image_composition",
        "execution_error",
        "same_inputs_other_prefix_with_extra_data",
    ):
        await server.make(server.recording(name))
    for name in ("list_completed_limit_1", "get_completed", "get_failed", "get_unknown"):
        await server.expect_alike(jobs[name])
    assert await server.expect_alike(jobs["bad_prompt_id"]) == jobs["bad_prompt_id"]["body"]
    graph = jobs["get_cancelled_running"]["body"]["workflow"]["prompt"]
    ids = [jobs["get_running"]["body"]["id"], jobs["get_pending"]["body"]["id"]]
    for prompt_id in ids:
        server.holds(prompt_id)
        body = {"prompt": graph, "prompt_id": prompt_id, "client_id": "c"}
        await server.ask({"method": "POST", "path": "/prompt", "json": body})
    await server.runs(ids[0])
    for name in ("get_running", "get_pending", "list_in_progress_and_pending"):
        await server.expect_alike(jobs[name])
    for name in ("cancel_pending", "get_cancelled_pending", "cancel_running"):
        assert await server.expect_alike(jobs[name]) or name.startswith("get")
    await server.finished(ids[0])
    for name in ("get_cancelled_running", "cancel_unknown"):
        await server.expect_alike(jobs[name])
    recorded = server.recording("jobs_list")
    answer = await server.ask(recorded["request"])
    kinds = {job["status"]: job for job in recorded["body"]["jobs"]}
    assert {job["status"] for job in answer["body"]["jobs"]} >= {"completed", "failed", "cancelled"}
    for job in answer["body"]["jobs"]:
        if job["status"] in kinds:
            same_shape(kinds[job["status"]], job)
    created = [job["create_time"] for job in answer["body"]["jobs"]]
    assert created == sorted(created, reverse=True)


async def expect_run_alike(server, recorded):
    """Replay a submission with its websocket and compare all; returns the history entry."""
    prompt_id = recorded["submit"]["request"]["json"]["prompt_id"]
    async with server.listen() as socket:
        await socket.receive(timeout=5)  # the greeting
        submitted = await server.expect_alike(recorded["submit"])
        assert submitted["prompt_id"] == prompt_id
        seen = await server.frames_until(socket, prompt_id)
    if "websocket" in recorded:
        same_order(recorded["websocket"], seen)
    answer = await server.ask(recorded["history"]["request"])
    same_shape(recorded["history"]["body"], answer["body"])
    before, now = recorded["history"]["body"][prompt_id], answer["body"][prompt_id]
    assert events(now) == events(before)
    assert now["status"]["status_str"] == before["status"]["status_str"]
    assert now["prompt"][2] == before["prompt"][2]
    for (_, then), (_, told) in zip(
        before["status"]["messages"], now["status"]["messages"], strict=True
    ):
        for name in ("node_id", "node_type", "exception_type", "exception_message"):
            assert told.get(name) == then.get(name)
    return now
