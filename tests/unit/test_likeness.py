"""The comparison that conformance rests on sees what it should see, and only that."""

import pytest

from tests.fakes.likeness import differences, same_headers, same_order


@pytest.mark.parametrize(
    ("recorded", "answered"),
    [
        ({"a": 1}, {"a": 2.5}),
        ({"a": [1, 2]}, {"a": [3]}),
        ([["start", {"x": 1}], ["end", {"y": 2}]], [["end", {"y": 3}]]),
        ({"executed": []}, {"executed": ["9"]}),
        (None, None),
    ],
)
def test_values_and_counts_may_differ(recorded, answered):
    assert differences(recorded, answered) == []


@pytest.mark.parametrize(
    ("recorded", "answered"),
    [
        ({"a": 1}, {}),
        ({"a": 1}, {"a": 1, "b": 1}),
        ({"a": 1}, {"a": "1"}),
        ({"a": True}, {"a": 1}),
        ({"a": None}, {"a": "x"}),
        ({"a": [1]}, {"a": []}),
        (["INT", {"min": 1}], [{"min": 1}, "INT"]),
        (["INT", {"min": 1}], ["INT"]),
        ([{"deep": {"key": 1}}], [{"deep": {"other": 1}}]),
    ],
)
def test_keys_types_and_places_may_not(recorded, answered):
    assert differences(recorded, answered) != []


def test_a_header_that_was_recorded_is_needed():
    with pytest.raises(AssertionError):
        same_headers({"Content-Length": "1"}, {})
    with pytest.raises(AssertionError):
        same_headers({"Content-Type": "text/plain"}, {"Content-Type": "application/json"})
    same_headers({"Content-Length": "1"}, {"Content-Length": "2", "Server": "x"})


def frame(kind, node="1"):
    return {"type": kind, "data": {"node": node}}


def test_the_order_of_frames_counts_but_not_how_often_one_repeats():
    recorded = [frame("progress_state_"), frame("executing"), frame("executed")]
    same_order(recorded, [recorded[0], *recorded])
    with pytest.raises(AssertionError):
        same_order(recorded, recorded[::-1])
    with pytest.raises(AssertionError):
        same_order(recorded, recorded[:-1])
    with pytest.raises(AssertionError):
        same_order(recorded, [recorded[0], frame("executing", "2"), recorded[2]])
