"""The OpenAPI document describes the door as it is: every answer is one that it announces."""

import http.client
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from daemon.web.asked import StatusWord
from daemon.web.decoding import Nothing
from daemon.web.openapi import document
from daemon.web.routes import ENDPOINTS
from ledger.batch import BatchStatus
from ledger.direct import DirectLedger
from ledger.status import Stage, Status
from tests.fakes.records import batch_record, task_record
from tests.fakes.world import ROOT, World

#: Streams for ever; tested by itself.
LEFT_OUT = {"/api/events"}
EXAMPLES = 12
DOCUMENT = document(ENDPOINTS)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


class Running(NamedTuple):
    url: str
    token: str


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The real program on a ledger with a task in every stage; nobody is there to run them."""
    world = World(tmp_path_factory.mktemp("openapi") / "world", "http://127.0.0.1:9")
    with DirectLedger(world.ledger) as ledger:
        tasks = [task_record(n, stage) for n, stage in enumerate(Stage, 1)]
        batch = batch_record(status=BatchStatus.PAUSED)
        ledger.commit(batch, *tasks, op="batch.accepted", actor="test")
    command = [sys.executable, str(ROOT / "run_daemon.py"), "--config", str(world.config), "run"]
    with (world.folder / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stderr=log)
    address = world.state / "web.json"
    try:
        deadline = time.monotonic() + 20
        while not address.exists() and daemon.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert address.exists(), (world.folder / "log").read_text("utf-8")
        token = (world.state / "admin-token").read_text().strip()
        yield Running(json.loads(address.read_bytes())["url"], token)
    finally:
        daemon.terminate()
        assert daemon.wait(timeout=20) == 0


WITH_ALL = [(each.method, each.path) for each in ENDPOINTS if each.path not in LEFT_OUT]
#: Where something can be sent that is wrong.
WITH_INPUT = [
    (each.method, each.path)
    for each in ENDPOINTS
    if each.path not in LEFT_OUT and ("{" in each.path or each.query is not Nothing or each.body)
]


@pytest.mark.parametrize(("method", "path"), WITH_ALL)
def test_every_good_request_is_answered_as_the_document_says(
    door: Running, method: str, path: str
) -> None:
    check_all(door, method, path, GenerationMode.POSITIVE)


@pytest.mark.parametrize(("method", "path"), WITH_INPUT)
def test_every_bad_request_is_refused_as_the_document_says(
    door: Running, method: str, path: str
) -> None:
    check_all(door, method, path, GenerationMode.NEGATIVE)


def check_all(door: Running, method: str, path: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(without_security(DOCUMENT))
    schema.config.update(base_url=door.url)
    checks = [each for each in CHECKS if path != "/readyz" or each is not not_a_server_error]
    headers = {"Authorization": f"Bearer {door.token}"} if method == "POST" else {}

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=schema[path][method].as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        if mode is GenerationMode.POSITIVE:
            with_known_ids(case)
        case.call_and_validate(headers=headers, checks=checks, timeout=10)

    ask()


def without_security(given: object) -> Any:
    """Return the document without the token: it is always sent, so its absence cannot be tried."""
    if isinstance(given, dict):
        return {key: without_security(each) for key, each in given.items() if key != "security"}
    return [without_security(each) for each in given] if isinstance(given, list) else given


def with_known_ids(case: schemathesis.Case) -> None:
    """Let every other request be about something that exists."""
    known = {"batch_id": "spring-abc234", "server": "gpu-0", "index": "0"}
    if hash(str(case.path_parameters)) % 2:
        for name in case.path_parameters or {}:
            case.path_parameters[name] = known.get(name, "img_20261121_000007")


def headers_of(door: Running, method: str, path: str) -> tuple[int, dict[str, str]]:
    """Return status and headers of an answer; what follows on the same connection must be one, too."""
    connection = http.client.HTTPConnection(door.url.removeprefix("http://"), timeout=10)
    try:
        for _ in range(2):
            connection.request(method, path)
            answer = connection.getresponse()
            assert (method == "GET") == bool(answer.read()), (method, path)
        return answer.status, dict(answer.headers)
    finally:
        connection.close()


def test_head_answers_what_get_would_without_a_body_where_the_document_says_so(
    door: Running,
) -> None:
    known = {"{batch_id}": "spring-abc234", "{task_id}": "img_20261121_000007"}
    known |= {"{index}": "0", "{column}": "image", "{file}": "main.js"}
    for path, operations in DOCUMENT["paths"].items():
        asked = re.sub(r"\{\w+\}", lambda found: known.get(found[0], "gpu-0"), path)
        status, headers = headers_of(door, "HEAD", asked)
        if "head" not in operations:
            assert "get" not in operations or path in LEFT_OUT
            assert (status, "HEAD" in headers["Allow"]) == (405, False), path
            continue
        wanted_status, wanted = headers_of(door, "GET", asked)
        assert status == wanted_status, path
        assert headers["Content-Type"] == wanted["Content-Type"], path
        assert str(status) in operations["head"]["responses"], path


def test_every_path_of_the_contract_is_in_the_document() -> None:
    wanted = re.findall(
        r"(GET|POST) (\S+)",
        """
        GET /healthz GET /readyz GET /metrics GET /api/batches GET /api/batches/{}
        POST /api/batches/{}/resume POST /api/batches/{}/pause POST /api/batches/{}/stop
        POST /api/batches/{}/rerun GET /api/batches/{}/failed-executions
        POST /api/batches/{}/executions/{}/retry POST /api/batches/{}/retry-failed
        GET /api/tasks GET /api/tasks/{} GET /api/tasks/{}/history POST /api/tasks/{}/retry
        POST /api/tasks/{}/cancel POST /api/jobs GET /api/diagnosis/tasks/status-check
        POST /api/diagnosis/tasks/recovery GET /api/servers POST /api/servers/{}/drain
        POST /api/servers/{}/resume GET /api/events GET /outputs/{}/{} POST /api/session
        GET /api/openapi.json GET /api/status GET /api/batches/{}/rows GET /api/tasks/{}/story
        GET /thumbs/{}/{} GET /thumbs/{}/inputs/{} GET /inputs/{}/{} GET / GET /static/{}
            GET /api/tables POST /api/tables/reconcile
        """,
    )
    offered = {(each.method, re.sub(r"\{\w+\}", "{}", each.path)) for each in ENDPOINTS}
    assert set(wanted) == offered


def test_only_changes_and_the_session_need_the_token_on_loopback() -> None:
    for path, operations_there in DOCUMENT["paths"].items():
        for method, operation in operations_there.items():
            assert ("security" in operation) == (method == "post"), path


def test_the_words_for_a_status_are_all_statuses_and_stages() -> None:
    assert set(StatusWord.__args__) == {*Status, *Stage}
