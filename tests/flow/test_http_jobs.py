"""Rows by HTTP, and requests that are sent twice."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from ledger.batch import BatchStatus
from ledger.status import Stage
from tests.fakes.door import Answer, Door, open_door
from tests.fakes.records import batch_record, task_record
from tests.fakes.world import TWO_ROWS, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "world", "http://127.0.0.1:9")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    text = world.config.read_text("utf-8")
    allow = f'[inputs]\nallow = ["{pictures}"]\n[web]'
    world.config.write_text(text.replace("[web]", allow), encoding="utf-8")
    for name in ("pot", "mei"):
        (pictures / f"{name}.png").write_bytes(picture(name))
    return world


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    async with open_door(world) as door:
        yield door


def picture(name: str = "pot") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 10), (len(name) * 20 % 256, ord(name[0]), 90)).save(file, "PNG")
    return file.getvalue()


def row(world: World, **more: Any) -> dict[str, Any]:
    pictures = world.folder.parent / "pictures"
    return {
        "product_name": "茶壶",
        "product_image": str(pictures / "pot.png"),
        "model_image": str(pictures / "mei.png"),
        **more,
    }


def table(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(key for each in rows for key in each)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


async def upload(door: Door, *files: tuple[str, bytes], **headers: str) -> Answer:
    form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    for name, content in files:
        form.add_field("file", io.BytesIO(content), filename=name)
    headers = {"Authorization": f"Bearer {door.token}", **headers}
    return await door.ask("POST", "/api/jobs", data=form, headers=headers)


def leftovers(world: World) -> list[Path]:
    return [path for path in (world.state / "uploads").rglob("*") if path.is_file()]


async def test_rows_in_json_become_tasks_of_a_batch(world: World, door: Door) -> None:
    body = {
        "rows": [row(world, prompt="bright"), row(world, 产品名="x", prompt="y")],
        "name": "web",
    }
    answer = await door.post("/api/jobs", body)
    assert answer.status == 200, answer.body
    assert answer.json["accepted_rows"] == 1
    assert [each["line"] for each in answer.json["rejected"]] == [2]  # two product names
    batch = (await door.get(f"/api/batches/{answer.json['batch_id']}")).json
    assert batch["name"] == "web.json"
    (task,) = world.tasks()
    assert task.task_id == answer.json["task_ids"][0]
    assert task.metadata.source is not None
    assert task.metadata.source.kind == "api"
    history = (await door.get(f"/api/tasks/{task.task_id}/history")).json["history"]
    assert history[0]["actor"] == "api"
    again = await door.post("/api/jobs", body)
    assert (again.json["changed"], again.json["duplicate_rows"]) == (False, 1)
    rerun = await door.post("/api/jobs", body | {"options": {"rerun": True}})
    assert rerun.json["accepted_rows"] == 1


async def test_rows_in_json_may_come_as_a_list_alone(world: World, door: Door) -> None:
    key = {"Idempotency-Key": "list-1"}
    answer = await door.post("/api/jobs", [row(world), row(world, prompt="y")], headers=key)
    assert (answer.status, answer.json.get("accepted_rows")) == (200, 2), answer.body
    again = {"rows": [row(world), row(world, prompt="y")]}  # the same, written at length
    assert (await door.post("/api/jobs", again, headers=key)).json == answer.json


async def test_one_row_in_json_may_come_alone_as_in_a_job_file(world: World, door: Door) -> None:
    answer = await door.post("/api/jobs", row(world))
    assert (answer.status, answer.json.get("accepted_rows")) == (200, 1), answer.body


async def test_what_is_no_job_is_told_what_is_wrong_with_it(world: World, door: Door) -> None:
    english = {"Accept-Language": "en"}

    async def told(body: Any) -> tuple[str, str]:
        error = (await door.post("/api/jobs", body, headers=english)).json["error"]
        return error["code"], error["message"]

    must = "The body is wrong: *: must be one row as a JSON object, a list of rows, or {"
    for shapeless in (5, "x", b"null"):
        code, message = await told(shapeless)
        assert (code, message.startswith(must)) == ("bad_body", True), message
    options = {"rerun": "yes", "reruns": True}
    wrong = "options.reruns: is unknown; known: rerun; options.rerun: must be true or false"
    refused = await told({"rows": [row(world)], "options": options})
    assert refused == ("bad_body", f"The body is wrong: {wrong}.")
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("job", b"x", filename="admin-token")
    headers = {"Authorization": f"Bearer {door.token}", **english}
    answer = await door.ask("POST", "/api/jobs", data=form, headers=headers)
    assert "admin-token cannot be read: the name has no ending" in answer.json["error"]["message"]
    assert world.tasks() == []


async def test_a_job_file_with_its_pictures_is_taken_like_a_drop(world: World, door: Door) -> None:
    files = [(name, picture(name)) for name in ("pot.png", "cup.png", "mei.png")]
    answer = await upload(door, ("春.csv", table(TWO_ROWS)), *files)
    assert answer.status == 200, answer.body
    assert answer.json["accepted_rows"] == 2
    assert answer.json["batch_id"].startswith("春-")
    tasks = world.tasks()
    assert len(tasks) == 3
    assert tasks[0].inputs["product_image"].name == "pot.png"
    assert leftovers(world) == []


async def test_pictures_may_lie_in_folders_but_not_outside(world: World, door: Door) -> None:
    rows = [{"product_image": "pics/pot.png", "model_image": "pics/mei.png"}]
    good = [("pics/pot.png", picture("pot")), ("pics\\mei.png", picture("mei"))]
    assert (await upload(door, ("a.csv", table(rows)), *good)).status == 200
    for name in ("../x.png", "C:\\..\\x.png", "a//x.png", ".", "a/../x.png", "x" * 300 + ".png"):
        answer = await upload(door, ("a.csv", table(rows)), (name, picture()))
        assert (answer.status, answer.code) == (400, "bad_file_name"), name
    escaping = [{"product_image": "../../admin-token", "model_image": "/etc/passwd"}]
    refused = await upload(door, ("b.csv", table(escaping)))
    assert (refused.status, refused.code) == (400, "no_good_row")
    assert "任务文件所在的文件夹之外" in refused.json["error"]["details"]["rejected"][0]["reason"]
    assert leftovers(world) == []
    assert not list(world.folder.rglob("x.png"))


async def test_bad_uploads_are_refused_with_the_reason_and_leave_nothing(
    world: World, door: Door
) -> None:
    seq = door.ledger.last_seq
    job = ("a.csv", table([{"prompt": "x"}]))
    cases = [
        ((("a.png", picture()),), "no_job_file"),
        ((job, ("b.csv", b"x")), "two_job_files"),
        ((job, ("a.png", b"1"), ("a.png", b"2")), "same_name"),
        ((("a.csv", b""),), "unreadable_job"),
        ((("a.csv", b"colour,size\n1,2\n"),), "unreadable_job"),
        ((("a.json", b"{"),), "unreadable_job"),
        ((job,), "no_good_row"),
    ]
    for files, code in cases:
        answer = await upload(door, *files)
        assert (answer.status, answer.code) == (400, code)
        assert answer.json["error"]["hint"]
    big = ("a.csv", b"x" * 34_000_000)
    assert (await upload(door, big)).code == "body_too_large"
    assert leftovers(world) == []
    assert door.ledger.last_seq == seq


async def test_bad_json_jobs_are_400_and_other_kinds_415(door: Door) -> None:
    for body in ({}, {"rows": "x"}, {"rows": ["x"]}, {"rows": [], "more": 1}, [1]):
        answer = await door.post("/api/jobs", body)
        assert (answer.status, answer.code) == (400, "bad_body"), body
    for body in ({"rows": []}, []):
        assert (await door.post("/api/jobs", body)).code == "unreadable_job"
    for cut in (b"{", b'[{"a": 1}', b"[1]]", b'[],"name":"x"'):
        assert (await door.post("/api/jobs", cut)).code == "bad_json", cut
    plain = await door.post("/api/jobs", b"x", headers={"Content-Type": "text/csv"})
    assert (plain.status, plain.code) == (415, "unsupported_media")
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
        broken = await door.post("/api/jobs", b"garbage", headers={"Content-Type": kind})
        assert broken.status == 400, kind
        assert broken.code in ("bad_multipart", "no_job_file")


async def test_a_cut_upload_records_nothing(world: World, door: Door) -> None:
    _, writer = await asyncio.open_connection(*door.url.removeprefix("http://").split(":"))
    head = (
        f"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {door.token}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\nabc'
    )
    writer.write(head.encode())
    await writer.drain()
    async with asyncio.timeout(10):
        while not leftovers(world):
            await asyncio.sleep(0.01)
        writer.close()
        while leftovers(world):
            await asyncio.sleep(0.01)
    assert world.tasks() == []


@pytest.mark.parametrize("token_is_right", [True, False])
async def test_a_client_that_waits_with_its_body_is_told_to_send_it_when_it_may(
    door: Door, token_is_right: bool
) -> None:
    reader, writer = await asyncio.open_connection(*door.url.removeprefix("http://").split(":"))
    token = door.token if token_is_right else "x" * len(door.token)
    body = json.dumps({"rows": []}).encode()
    head = (
        f"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    writer.write(head.encode())
    async with asyncio.timeout(10):
        if token_is_right:
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
        status = await reader.readline()
    writer.close()
    assert status.split()[1] == (b"400" if token_is_right else b"401")


async def test_what_a_crash_left_of_uploads_is_removed_at_the_start(world: World) -> None:
    left = world.state / "uploads" / "abc" / "a.png"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x")
    async with open_door(world):
        assert not left.exists()


async def test_a_job_sent_twice_under_one_key_is_taken_once_even_after_a_restart(
    world: World,
) -> None:
    key = {"Idempotency-Key": "job-1"}
    body = {"rows": [row(world)], "options": {"rerun": True}}
    async with open_door(world) as door:
        both = await asyncio.gather(*(door.post("/api/jobs", body, headers=key) for _ in range(2)))
        assert [answer.status for answer in both] == [200, 200]
        assert both[0].json == both[1].json
    async with open_door(world) as door:
        third = await door.post("/api/jobs", body, headers=key)
        assert third.json == both[0].json
        reordered = json.dumps(dict(reversed(body.items()))).encode()
        assert (await door.post("/api/jobs", reordered, headers=key)).json == both[0].json
        other = await door.post("/api/jobs", body | {"name": "other"}, headers=key)
        assert (other.status, other.code) == (409, "key_used")
    assert len(world.batches()) == 1


async def test_a_job_of_known_rows_alone_is_answered_the_same_under_its_key_ever_after(
    world: World, door: Door
) -> None:
    body, key = {"rows": [row(world)]}, {"Idempotency-Key": "job-2"}
    assert (await door.post("/api/jobs", body)).json["accepted_rows"] == 1
    first = await door.post("/api/jobs", body, headers={**key, "Accept-Language": "zh"})
    assert (first.status, first.json["changed"], first.json["duplicate_rows"]) == (200, False, 1)
    again = await door.post("/api/jobs", body, headers={**key, "Accept-Language": "en"})
    assert again.json == first.json
    other = await door.post("/api/jobs", body | {"options": {"rerun": True}}, headers=key)
    assert (other.status, other.code) == (409, "key_used")


async def test_an_upload_sent_twice_under_one_key_is_taken_once(world: World, door: Door) -> None:
    rows = [{"product_image": "a.png", "model_image": "b.png"}]
    files = [("a.rerun.csv", table(rows)), ("a.png", picture("a")), ("b.png", picture("b"))]
    key = {"Idempotency-Key": "upload-1"}
    first = await upload(door, *files, **key)
    second = await upload(door, *files, **key)
    assert first.status == 200, first.body
    assert first.json == second.json
    assert len(world.batches()) == 1
    changed = [*files[:2], ("b.png", picture("c"))]
    assert (await upload(door, *changed, **key)).code == "key_used"


async def test_a_retry_sent_twice_under_one_key_is_made_once_even_after_a_restart(
    world: World,
) -> None:
    path = "/api/tasks/img_20261121_000001/retry"
    key = {"Idempotency-Key": "retry-1"}
    async with open_door(world) as door:
        await door.ledger.commit(
            batch_record(status=BatchStatus.PAUSED),
            task_record(1, Stage.FAILED),
            task_record(2, Stage.FAILED),
            op="batch.accepted",
        )
        first = await door.post(path, {"copy_files": True}, headers=key)
        assert first.status == 200
    async with open_door(world) as door:
        second = await door.post(path, {}, headers=key)  # the same, with its default
        assert (second.status, second.json) == (200, first.json)
        assert (await door.post(path, {"copy_files": False}, headers=key)).status == 409
        other = path.replace("000001", "000002")
        assert (await door.post(other, headers=key)).code == "key_used"
        assert (await door.post(path)).status == 409  # without the key it is another retry
        for bad in ("", "x" * 201, "a b", "schlüssel"):
            answer = await door.post(other, headers={"Idempotency-Key": bad})
            assert (answer.status, answer.code) == (400, "bad_key"), bad
    assert len(world.tasks()) == 3
    assert world.verify() == []
