"""Of rows that bear one id the row is the one that its task was made for, whatever people do."""

import pytest

from daemon.tables.cells import CellFile, Row
from daemon.tables.copies import Original, Seen


def row(name: str, picture: str = "p0.png", **more: str) -> Row:
    cells = {"task_id": "img_1", "product_name": name, "product_image": picture, **more}
    return Row(place=name, key="img_1", cells=cells, mark=name)


RED = row("红杯")
BLUE = row("蓝瓶", "p1.png")
GREEN = row("绿罐", "p2.png")
MADE_OF = {"product_name": "红杯", "product_image": "p0.png", "prompt": None}


def seen_with(*rows: Row, own: Row, before: Seen | None = None) -> Seen | None:
    return Original(inputs=MADE_OF, seen=before).seen_in(rows, own)


def test_without_a_copy_an_edited_row_is_the_row():
    assert Original(inputs=MADE_OF).among([GREEN]) is GREEN
    assert seen_with(GREEN, own=GREEN) is None


@pytest.mark.parametrize("rows", [(RED, BLUE), (BLUE, RED)])
def test_the_row_is_what_its_task_was_made_of_in_whatever_order(rows):
    assert Original(inputs=MADE_OF).among(rows) is RED


def test_a_remark_or_a_word_more_does_not_make_a_copy_the_row():
    corrected = row("红杯", prompt="笑")
    assert Original(inputs=MADE_OF).among([BLUE, corrected]) is corrected


def test_of_true_copies_the_one_that_was_not_told_and_shows_the_result_is_the_row():
    copy, shows = row("红杯", error="复制"), row("红杯", output_image="a.png")
    original = Original(inputs=MADE_OF, told_to_copies="复制")
    assert original.among([copy, RED]) is RED
    assert original.among([RED, shows]) is shows
    assert original.among([RED, row("红杯")]) is RED
    assert original.among([copy]) is copy


def test_a_copy_that_is_left_alone_stays_one_and_what_comes_back_is_the_row():
    seen = seen_with(BLUE, RED, own=RED)
    assert Original(inputs=MADE_OF, seen=seen).among([BLUE]) is None
    gone = Original(inputs=MADE_OF, seen=seen).seen_in([BLUE], None)
    assert Original(inputs=MADE_OF, seen=gone).among([GREEN]) is None  # the copy, edited
    assert Original(inputs=MADE_OF, seen=gone).among([BLUE, RED]) is RED  # deleting was undone
    assert Original(inputs=MADE_OF, seen=gone).among([RED]) is RED


def test_a_copy_that_is_edited_while_its_original_is_deleted_stays_one():
    seen = seen_with(BLUE, RED, own=RED)
    assert Original(inputs=MADE_OF, seen=seen).among([GREEN]) is None


def test_a_row_that_is_edited_beside_its_copy_stays_the_row():
    seen = seen_with(BLUE, RED, own=RED)
    assert Original(inputs=MADE_OF, seen=seen).among([BLUE, GREEN]) is GREEN
    seen = seen_with(BLUE, GREEN, own=GREEN, before=seen)
    assert Original(inputs=MADE_OF, seen=seen).among([BLUE, GREEN]) is GREEN
    assert Original(inputs=MADE_OF, seen=seen).among([row("白碗"), GREEN]) is GREEN


def test_a_workbook_saved_anew_calls_its_pictures_otherwise_and_rows_stay_what_they_are():
    def with_picture(name: str, token: str, size_bytes: int) -> Row:
        file = CellFile(token=token, name=token, size_bytes=size_bytes)
        return Row(place=name, key="img_1", cells={}, files={"image": (file,)}, mark=name)

    made_of = {"image": ["media/1.png"]}
    red, blue = with_picture("红", "media/1.png", 10), with_picture("蓝", "media/2.png", 20)
    seen = Original(inputs=made_of).seen_in([blue, red], red)
    red, blue = with_picture("红", "media/3.png", 10), with_picture("蓝", "media/4.png", 20)
    assert Original(inputs=made_of, seen=seen).among([blue, red]) is red
    assert Original(inputs=made_of, seen=seen).among([blue]) is None
