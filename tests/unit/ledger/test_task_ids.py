"""Ids of tasks: which belong to a counter, and that none is given twice."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.taskids import Numbering, counter_of, number_of

AT = "2026-11-27T00:00:00.000Z"
COUNTER = "img_20261127"


def by_pattern(identifier):
    found = re.fullmatch(r"((?:img|vid)_\d{8})_(\d{6,})", identifier)
    return (found[1], int(found[2])) if found else None


@given(st.from_regex(r"(img|vid|jpg)?_?\d{7,9}_{0,2}-?\d{4,8}\n?"))
@example("img_20261127_000001")
@example("vid_20261127_1000000")
@example("vid_20261127_٠٠٠٠٠٧")
@example("img_20261127_00000²")
@example("")
def test_an_id_has_the_number_that_its_form_says_and_another_text_has_none(identifier):
    assert number_of(identifier) == by_pattern(identifier)


def test_ids_that_nobody_has_asked_for_yet_are_given_to_nobody_else():
    numbering = Numbering()
    first = numbering.take({}, "小图", AT, 2)
    second = numbering.take({}, "图片合成", AT, 2)
    assert counter_of("小图", AT) == COUNTER
    assert [*second, *first] == [f"{COUNTER}_00000{number}" for number in (3, 4, 1, 2)]


@pytest.mark.parametrize("counted", [{COUNTER: 7}, {COUNTER: "7"}, {}])
def test_numbers_go_on_after_those_that_were_counted(counted):
    (task_id,) = Numbering().take(counted, "小图", AT, 1)
    assert task_id == f"{COUNTER}_{8 if counted == {COUNTER: 7} else 1:06d}"
