import json
from typing import get_origin

import msgspec
import pytest

from daemon.comfy import messages
from daemon.comfy.messages import NotQuiteJson, decoded, mended
from tests.fakes.replay import GENERATIONS, RECORDINGS, exchanges_in

KINDS = {
    ("GET", "/system_stats", 200): messages.SystemStats,
    ("GET", "/queue", 200): messages.Queue,
    ("GET", "/history", 200): dict[str, messages.HistoryEntry],
    ("POST", "/prompt", 200): messages.PromptAnswer,
    ("POST", "/prompt", 400): messages.RefusalBody,
    ("POST", "/upload", 200): messages.Uploaded,
    ("GET", "/object_info", 200): dict[str, msgspec.Raw],
}
TEXTS = msgspec.json.Decoder(dict[str, str])
RECORDED = [
    path for generation in GENERATIONS for path in sorted((RECORDINGS / generation).glob("*"))
]


def question_of(exchange):
    """Return method, first part of the path and status: what kind of answer it is."""
    asked = exchange["request"]
    return asked["method"], "/" + asked["path"].split("?")[0].split("/")[1], exchange["status"]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_recorded_answer_and_frame_is_understood(path):
    recorded = json.loads(path.read_text(encoding="utf-8"))
    for exchange in exchanges_in(recorded):
        if (kind := KINDS.get(question_of(exchange))) is not None:
            answer = decoded(json.dumps(exchange["body"]).encode(), msgspec.json.Decoder(kind))
            assert isinstance(answer, get_origin(kind) or kind)
    frames = recorded.get("websocket") if isinstance(recorded, dict) else None
    for frame in frames or ():
        understood = msgspec.json.decode(json.dumps(frame), type=messages.Frame)
        assert understood.type == frame["type"]


def test_the_recordings_hold_every_kind_of_answer_we_decode():
    seen = {
        question_of(exchange)
        for path in RECORDED
        for exchange in exchanges_in(json.loads(path.read_text(encoding="utf-8")))
    }
    assert set(KINDS) - seen <= {("GET", "/object_info", 200)}  # recorded without its request


def test_nan_and_infinity_as_python_writes_them_are_mended_outside_of_strings():
    body = b'{"a":NaN,"b":-Infinity,"c":Infinity,"d":"NaN \\" Infinity"}'
    with pytest.raises(NotQuiteJson):
        decoded(body, msgspec.json.Decoder(dict[str, msgspec.Raw]))
    assert json.loads(mended(body)) == {"a": None, "b": -1e308, "c": 1e308, "d": 'NaN " Infinity'}


def test_a_body_that_merely_mentions_nan_is_left_alone():
    assert decoded(b'{"a":"NaN"}', TEXTS) == {"a": "NaN"}


def test_a_body_that_is_no_json_at_all_stays_an_error():
    with pytest.raises(msgspec.DecodeError):
        decoded(b"<html>", TEXTS)
    with pytest.raises(msgspec.DecodeError):
        decoded(mended(b"<html>NaN"), TEXTS)
