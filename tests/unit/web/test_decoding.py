"""A field that cannot be read is named, with what it may hold."""

import pytest
from multidict import MultiDict

from daemon.web.asked import CheckQuery, RerunBody, TaskQuery
from daemon.web.decoding import decode_body, decode_query
from daemon.web.refusal import Refusal


def test_a_wrong_value_is_told_with_its_field_and_what_is_allowed():
    with pytest.raises(Refusal) as caught:
        decode_query(MultiDict(max_runtime_minutes="soon"), CheckQuery)
    assert caught.value.values["what"]["en"] == "max_runtime_minutes: must be a number or null"
    with pytest.raises(Refusal) as caught:
        decode_query(MultiDict(status="nope"), TaskQuery)
    told = str(caught.value.values["what"]["en"])
    assert told.startswith("status: must be a list, each one of cancelled, collecting")
    assert "待处理" in told
    with pytest.raises(Refusal) as caught:
        decode_body(b'{"stage": 3, "new_seed": "yes"}', RerunBody)
    assert caught.value.values["what"]["en"] == (
        "stage: must be one of 1, 2 or null; new_seed: must be true or false"
    )
    assert caught.value.values["what"]["zh"] == (
        "stage 应为：1, 2 之一，或 null；new_seed 应为：true 或 false"
    )
