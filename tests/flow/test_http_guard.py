"""Who is let in by the HTTP door, and what it does with everything that should not be sent."""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec import structs
from PIL import Image
from structlog.testing import capture_logs
from yarl import URL

from daemon.web.limits import CHANGES_UNDER_WAY
from ledger.batch import BatchStatus
from ledger.status import Stage
from ledger.task import InputFile, OutputFile
from tests.fakes.door import Door, open_door
from tests.fakes.records import batch_record, task_record
from tests.fakes.world import World

BATCH = "spring-abc234"
TASK = "img_20261121_000001"

#: Every path that changes something.
CHANGES = (
    *(f"/api/batches/{BATCH}/{verb}" for verb in ("pause", "resume", "stop", "rerun")),
    f"/api/batches/{BATCH}/retry-failed",
    f"/api/batches/{BATCH}/executions/{TASK}/retry",
    f"/api/tasks/{TASK}/retry",
    f"/api/tasks/{TASK}/cancel",
    "/api/jobs",
    "/api/diagnosis/tasks/recovery",
    "/api/servers/gpu-0/drain",
    "/api/servers/gpu-0/resume",
    "/api/session",
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world", "http://127.0.0.1:9")  # nobody there: nothing moves by itself


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    async with open_door(world) as door:
        assert door.ledger is not None
        await door.ledger.commit(
            batch_record(status=BatchStatus.PAUSED),
            task_record(1, Stage.FAILED),
            task_record(2),
            op="batch.accepted",
        )
        yield door


def remote(world: World, *names: str) -> None:
    """Let the door listen beyond loopback."""
    text = world.config.read_text("utf-8")
    more = f'port = 0\nhost = "0.0.0.0"\nallowed_hosts = {list(names)!r}'
    world.config.write_text(text.replace("port = 0", more), encoding="utf-8")


async def test_every_change_without_a_token_or_with_a_wrong_one_is_401_and_logged(
    door: Door,
) -> None:
    seq = door.ledger.last_seq
    with capture_logs() as logs:
        for path in CHANGES:
            for token in (None, "wrong-" + "x" * 20):
                answer = await door.post(path, {}, token=token)
                assert (answer.status, answer.code) == (
                    401,
                    "token_wrong" if token else "token_missing",
                )
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    refused = [entry for entry in logs if entry["event"] == "request.unauthorized"]
    assert len(refused) == 2 * len(CHANGES)
    assert {entry["why"] for entry in refused} == {"token missing", "token wrong"}
    assert "wrong-xxx" not in str(logs)
    assert door.ledger.last_seq == seq


async def test_many_wrong_tokens_are_slowed_down_and_the_right_one_still_works(door: Door) -> None:
    path = f"/api/tasks/{TASK}/cancel"
    statuses = [(await door.post(path, token="w" * 30)).status for _ in range(30)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    last = await door.post(path, token="w" * 30)
    assert int(last.headers["Retry-After"]) >= 1
    assert last.code == "too_many_requests"
    assert (await door.post(path)).status == 200


async def test_too_many_changes_at_once_are_429_and_the_others_are_made(door: Door) -> None:
    where = URL(door.url)
    head = (
        f"POST /api/tasks/{TASK}/cancel HTTP/1.1\r\nHost: {where.host}\r\n"
        f"Authorization: Bearer {door.token}\r\nContent-Length: 2\r\n\r\n"
    )
    ends = [
        await asyncio.open_connection(where.host, where.port) for _ in range(CHANGES_UNDER_WAY + 10)
    ]
    for _, writer in ends:
        writer.write(head.encode())  # its body is still to come
    first_lines = [asyncio.ensure_future(reader.readline()) for reader, _ in ends]
    while len([each for each in first_lines if each.done()]) < 10:
        await asyncio.sleep(0.01)
    refused = [each.result() for each in first_lines if each.done()]
    assert {line.split()[1] for line in refused} == {b"429"}
    for _, writer in ends:
        writer.write(b"{}")
    statuses = Counter(line.split()[1] for line in await asyncio.gather(*first_lines))
    assert statuses == {b"200": CHANGES_UNDER_WAY, b"429": 10}
    for _, writer in ends:
        writer.close()


async def test_other_hosts_and_origins_are_refused(door: Door) -> None:
    for path in ("/api/batches", "/healthz", "/api/openapi.json"):
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "[", ""):
            answer = await door.get(path, headers={"Host": host})
            assert (answer.status, answer.code) == (421, "host_refused"), host
        for origin in ("http://evil.example", "null", "https://localhost.evil.example"):
            answer = await door.get(path, headers={"Origin": origin})
            assert (answer.status, answer.code) == (403, "origin_refused"), origin
    for host in ("localhost:1234", "[::1]:80", "127.0.0.2"):
        assert (await door.get("/api/batches", headers={"Host": host})).status == 200
    fine = {"Origin": "http://localhost:8787"}
    assert (await door.get("/api/batches", headers=fine)).status == 200


async def test_beyond_loopback_reading_needs_the_token_or_a_session(world: World) -> None:
    remote(world, "rows.example")
    async with open_door(world) as door:
        assert (await door.get("/healthz")).status == 200
        assert (await door.get("/api/tasks", headers={"Host": "rows.example"})).status == 401
        for path in ("/api/batches", "/metrics", "/readyz", "/api/events", "/api/openapi.json"):
            assert (await door.get(path)).status == 401, path
        token = {"Authorization": f"Bearer {door.token}"}
        assert (await door.get("/api/batches", headers=token)).status == 200
        session = await door.post("/api/session")
        cookie = session.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert door.token not in cookie
        value = {"Cookie": cookie.partition(";")[0]}
        assert (await door.get("/api/batches", headers=value)).status == 200
        change = await door.post(f"/api/tasks/{TASK}/cancel", token=None, headers=value)
        assert (change.status, change.code) == (401, "token_missing")
        until, _, signature = value["Cookie"].partition("=")[2].partition(".")
        for forged in (f"{int(until) + 1}.{signature}", f"{until}.", ".", f"{until}.{'0' * 64}"):
            bad = {"Cookie": f"rowkeeper_session={forged}"}
            assert (await door.get("/api/batches", headers=bad)).status == 401, forged
    async with open_door(world) as door:  # a session outlives a restart
        assert (await door.get("/api/batches", headers=value)).status == 200


async def test_a_body_of_ten_megabytes_is_413_and_changes_nothing(door: Door) -> None:
    seq = door.ledger.last_seq
    huge = b'{"changes": {"prompt": "' + b"x" * 10_000_000 + b'"}}'
    for path in (f"/api/batches/{BATCH}/rerun", f"/api/tasks/{TASK}/retry"):
        answer = await door.post(path, huge)
        assert (answer.status, answer.code) == (413, "body_too_large")
        assert answer.json["error"]["hint"]

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    headers = {"Authorization": f"Bearer {door.token}"}
    path = f"/api/tasks/{TASK}/retry"
    answer = await door.ask("POST", path, data=chunks(), headers=headers)
    assert answer.status == 413
    assert door.ledger.last_seq == seq


async def test_ids_that_are_tricks_lead_nowhere(door: Door) -> None:
    tricks = (
        "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "a%00b", "%0d%0aSet-Cookie:x", "img_1", "%ff",
        "img_20261121_000001%2f..", "x" * 300, "%E4%BB%BB%E5%8A%A1", "'%20OR%201=1", "*", "$(id)",
    )  # fmt: skip
    for trick in tricks:
        for path in (
            f"/api/tasks/{trick}",
            f"/api/tasks/{trick}/history",
            f"/api/batches/{trick}",
            f"/outputs/{trick}/0",
            f"/outputs/{TASK}/{trick}",
        ):
            answer = await door.get(path)
            assert answer.status == 404, (path, answer.status)
            assert re.fullmatch(r"unknown_\w+|output_\w+", answer.code), path
        for path in (f"/api/tasks/{trick}/cancel", f"/api/servers/{trick}/drain"):
            assert (await door.post(path)).status == 404, path


async def test_unknown_ids_and_paths_are_404_and_wrong_methods_405(door: Door) -> None:
    for path, code in (
        ("/api/tasks/img_20260101_999999", "unknown_task"),
        ("/api/batches/none-aaaaaa", "unknown_batch"),
        ("/api/batches/none-aaaaaa/failed-executions", "unknown_batch"),
        ("/api/tasks?batch=none-aaaaaa", "unknown_batch"),
        ("/nothing", "unknown_path"),
        (f"/outputs/{TASK}/0", "unknown_output"),
    ):
        answer = await door.get(path)
        assert (answer.status, answer.code) == (404, code), path
    wrong = await door.get(f"/api/tasks/{TASK}/cancel")
    assert (wrong.status, wrong.code, wrong.headers["Allow"]) == (405, "wrong_method", "POST")


async def test_wrong_queries_and_bodies_are_400_and_every_field_is_named(door: Door) -> None:
    query = await door.get("/api/tasks?limit=0&status=done&status=lost&colour=red&batch=")
    assert (query.status, query.code) == (400, "bad_query")
    named = {problem["field"] for problem in query.json["error"]["problems"]}
    assert named == {"limit", "status", "colour", "batch"}
    body = await door.post(
        f"/api/batches/{BATCH}/rerun", {"stage": "one", "new_seed": 1, "changes": [], "x": 1}
    )
    assert (body.status, body.code) == (400, "bad_body")
    named = {problem["field"] for problem in body.json["error"]["problems"]}
    assert named == {"stage", "new_seed", "changes", "x"}
    for broken in (b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"a":1e999}'):
        answer = await door.post(f"/api/tasks/{TASK}/retry", broken)
        assert answer.status == 400, broken[:20]
    for value in ("nan", "-1", "0", "x", "inf"):
        path = f"/api/diagnosis/tasks/status-check?max_runtime_minutes={value}"
        assert (await door.get(path)).status == 400, value
    assert (await door.get("/api/tasks?cursor=nonsense")).code == "bad_cursor"
    actor = {"X-Rowkeeper-Actor": "daemon"}
    refused = await door.post(f"/api/tasks/{TASK}/cancel", headers=actor)
    assert (refused.status, refused.code) == (400, "bad_actor")


async def test_every_answer_forbids_sniffing_framing_and_keeping(door: Door) -> None:
    for path in ("/healthz", "/api/batches", "/nothing", f"/api/tasks/{TASK}", "/metrics"):
        headers = (await door.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "rowkeeper"
        assert "Access-Control-Allow-Origin" not in headers
    async with door.session.get(f"{door.url}/api/events") as events:  # sent before it is answered
        assert events.headers["Server"] == "rowkeeper"
        assert events.headers["X-Content-Type-Options"] == "nosniff"


async def test_only_files_in_the_outputs_folder_are_given_out(world: World, door: Door) -> None:

    secret = world.state / "admin-token"
    outputs = world.state / "outputs"
    (outputs / "page.html").write_text("<script>1</script>")
    (outputs / "link.png").symlink_to(secret)
    paths = (
        "outputs/page.html",
        "outputs/link.png",
        "admin-token",
        str(secret),
        "outputs/../admin-token",
        "outputs",
    )
    files = [
        OutputFile(node="1", filename="x", subfolder="", type="output", path=path, sha256="0" * 64)
        for path in paths
    ]
    bare = OutputFile(node="1", filename="x", subfolder="", type="output", path="outputs/page.html")
    await door.ledger.commit(
        task_record(9, Stage.COLLECTING, outputs=[*files, bare], batch_id="x-aaaaaa", row_id="x:1"),
        op="test",
    )
    base = "/outputs/img_20261121_000009"
    page = await door.get(f"{base}/0")
    assert page.headers["Content-Type"] == "application/octet-stream"
    assert page.headers["Content-Disposition"].startswith("attachment")
    for index in range(1, len(paths)):
        answer = await door.get(f"{base}/{index}")
        assert (answer.status, answer.code) == (404, "output_gone"), paths[index]
    assert (await door.get(f"{base}/{len(paths)}")).code == "output_not_ready"


async def test_small_pictures_and_inputs_are_of_the_tasks_own_files_only(
    world: World, door: Door
) -> None:
    secret = world.state / "admin-token"
    (world.state / "outputs" / "link.png").symlink_to(secret)
    Image.new("RGB", (640, 480), "red").save(world.state / "outputs" / "a.png")
    (world.state / "outputs" / "a.txt").write_text("no picture")
    content = (world.state / "outputs" / "a.png").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    place = world.settings().inputs.path / "sha256" / digest[:2] / digest
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    files = [
        OutputFile(node="1", filename=name, subfolder="", type="output", path=f"outputs/{name}")
        for name in ("a.png", "link.png", "a.txt")
    ]
    proven = [structs.replace(each, sha256=f"{n}" * 64) for n, each in enumerate(files)]
    inputs = {
        "image": InputFile(name="a.png", sha256=digest, size_bytes=1),
        "gone": InputFile(name="<b>.png", sha256="f" * 64, size_bytes=1),
        "trick": InputFile(name="../a.png", sha256="../../admin-token", size_bytes=1),
        "page": InputFile(name="a.html", sha256=digest, size_bytes=1),
    }
    task = task_record(9, Stage.COLLECTING, outputs=proven, inputs=inputs, row_id="x:1")
    await door.ledger.commit(task, op="test")
    small = await door.get(f"/thumbs/{task.task_id}/0")
    assert small.headers["Content-Type"] == "image/webp"
    assert len(small.body) < len(content)
    again = {"If-None-Match": small.headers["ETag"]}
    assert (await door.get(f"/thumbs/{task.task_id}/0", headers=again)).status == 304
    assert (await door.get(f"/thumbs/{task.task_id}/1")).code == "output_gone"
    icon = await door.get(f"/thumbs/{task.task_id}/2")
    assert icon.headers["Content-Type"].startswith("image/svg+xml")
    assert (await door.get(f"/thumbs/{task.task_id}/3")).code == "unknown_output"
    whole = await door.get(f"/inputs/{task.task_id}/image")
    assert (whole.body, whole.headers["Content-Type"]) == (content, "image/png")
    part = await door.get(f"/inputs/{task.task_id}/image", headers={"Range": "bytes=0-3"})
    assert (part.status, part.body) == (206, content[:4])
    page = await door.get(f"/inputs/{task.task_id}/page")
    assert page.headers["Content-Disposition"].startswith("attachment")
    for path in (f"/inputs/{task.task_id}", f"/thumbs/{task.task_id}/inputs"):
        assert (await door.get(f"{path}/gone")).code == "input_gone"
        assert (await door.get(f"{path}/trick")).code == "input_gone"
        assert (await door.get(f"{path}/other")).code == "unknown_input"


async def test_the_page_may_load_nothing_but_its_own_files(door: Door) -> None:
    page = await door.get("/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    script = await door.get("/static/main.js")
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert script.headers["Cache-Control"] == "no-cache"
    again = {"If-None-Match": script.headers["ETag"]}
    assert (await door.get("/static/main.js", headers=again)).status == 304
    for trick in ("..%2fpage.py", "../page.py", "index.html", "main.js%00.css", "MAIN.JS", ""):
        assert (await door.get(f"/static/{trick}")).status == 404, trick


async def test_beyond_loopback_the_empty_page_is_open_and_its_data_is_not(world: World) -> None:
    remote(world, "rows.example")
    async with open_door(world) as door:
        host = {"Host": "rows.example"}
        assert (await door.get("/", headers=host)).status == 200
        assert (await door.get("/static/main.js", headers=host)).status == 200
        for path in (
            f"/thumbs/{TASK}/0",
            f"/inputs/{TASK}/image",
            f"/outputs/{TASK}/0",
            f"/api/tasks/{TASK}/story",
            f"/api/batches/{BATCH}/rows",
        ):
            assert (await door.get(path, headers=host)).status == 401, path


async def test_no_preflight_of_another_origin_is_granted(door: Door) -> None:
    for path in CHANGES:
        answer = await door.ask(
            "OPTIONS",
            path,
            headers={
                "Origin": "http://127.0.0.1:1",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization",
            },
        )
        assert answer.status == 405, path
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]


async def test_a_token_file_that_holds_no_secret_ends_the_start(world: World) -> None:
    world.state.mkdir()
    (world.state / "admin-token").write_text("short\n")
    code, said = await world.run("run", "--once")
    assert code == 2
    assert "web.admin_token_file" in said
    assert "remove it" in said
