"""Tables stay straight whatever stands in them."""

import time

from daemon.cli.render import cut, table, width
from daemon.words.values import local_time, printable, size


def test_chinese_characters_take_two_columns():
    assert width("图片abc") == 7
    assert width("e\u0301") == 1


def test_columns_stay_straight_with_chinese_in_them():
    text = table(["名称", "n"], [["产品A", 1], ["b", 20]])
    assert text.split("\n") == ["名称    n", "产品A   1", "b      20"]


def test_a_column_without_any_value_is_left_out():
    assert table(["a", "b"], [["1", None], ["2", ""]]) == "a\n1\n2"


def test_a_table_without_rows_has_its_heads():
    assert table(["a", "b"], []) == "a  b"


def test_long_text_is_cut_at_a_whole_character():
    assert cut("图片图片图片", 6) == "图片…"
    assert cut("abc", 3) == "abc"
    assert width(cut("图" * 100, 60)) <= 60


def test_what_would_steer_the_terminal_is_not_printed():
    assert printable("a\x1b[31mb\r\nc") == "a�[31mb c"


def test_moments_are_shown_by_the_clock_on_the_wall(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert local_time("2026-11-21T20:00:00.000Z") == "2026-11-22 04:00:00"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert local_time(None) == ""


def test_sizes_are_shown_for_people():
    assert [size(n) for n in (5, 2048, 3 * 2**30)] == ["5 B", "2.0 KiB", "3.0 GiB"]
