import pytest

from daemon.intake.columns import WorkflowNeeds, clean_text, tidy
from daemon.intake.fingerprint import fingerprint, likeness
from daemon.intake.grid import RawRow
from daemon.intake.records import new_batch_id, slug
from daemon.intake.rows import RefusedRow, WantedRow, plan_row
from daemon.words import Words
from ledger.task import InputFile
from tests.unit.intake.house import NEEDS

PICTURES = {"product_image": "p.png", "model_image": "m.png"}


def plan(**values):
    return plan_row(RawRow(line=4, ordinal=4, values=values), NEEDS)


def why(**values) -> str:
    refused = plan(**values)
    assert isinstance(refused, RefusedRow)
    return refused.text(Words("en"))


def test_the_default_workflow_type_is_the_picture_one():
    wanted = plan(**PICTURES)
    assert wanted.workflow_types == ("图片合成",)
    assert wanted.pictures == PICTURES
    assert (wanted.row_number, wanted.priority) == (4, 0)


@pytest.mark.parametrize(
    "joined", ["图片合成+图生视频", "图片合成 + 图生视频", "图片合成＋图生视频"]
)
def test_two_types_joined_by_plus_are_two_stages_and_the_second_needs_no_picture(joined):
    wanted = plan(workflow_type=joined, **PICTURES)
    assert wanted.workflow_types == ("图片合成", "图生视频")
    assert wanted.pictures == PICTURES


def test_an_unknown_type_is_refused_with_the_known_ones():
    assert "“画画” is unknown; known are: 图片合成, 图生视频" in why(workflow_type="画画")


@pytest.mark.parametrize(
    ("joined", "reason"),
    [
        ("图片合成+图片合成", "two different"),
        ("图片合成+图生视频+图片合成", "two different"),
        ("图生视频+图片合成", "takes no picture"),
        ("图片合成+", "unknown"),
    ],
)
def test_types_that_cannot_be_joined_are_refused(joined, reason):
    assert reason in why(workflow_type=joined, image="i.png", **PICTURES)


def test_a_missing_picture_is_refused_by_its_heading_and_all_reasons_are_told_at_once():
    reason = why(product_image="p.png", priority="high")
    assert "“model_image” is missing; 图片合成 needs it" in reason
    assert "“priority” “high” is no whole number" in reason
    assert "“image” is missing; 图生视频 needs it" in why(workflow_type="图生视频")


@pytest.mark.parametrize(
    ("given", "shown"),
    [("67", 67), (67, 67), (3.0, 3), ("007", "007"), ("A-1", "A-1"), (2.5, "2.5"), ("９", "９")],
)
def test_row_numbers_are_numbers_or_text_as_people_wrote_them(given, shown):
    assert plan(row_number=given, **PICTURES).row_number == shown


@pytest.mark.parametrize(
    ("given", "priority"), [("5", 5), (-2, -2), (3.0, 3), ("+7", 7), ("1.0", 1), ("-2.", -2)]
)
def test_priorities_are_whole_numbers(given, priority):
    assert plan(priority=given, **PICTURES).priority == priority


@pytest.mark.parametrize("given", ["1.5", 1.5, "1.0.0", 1e30, "9" * 400, "二", True])
def test_priorities_of_another_kind_are_refused(given):
    reason = why(priority=given, **PICTURES)
    assert "“priority”" in reason
    assert "no whole number up to a billion" in reason


@pytest.mark.parametrize("column", ["priority", "seed"])
def test_a_number_that_is_refused_is_told_as_it_was_written_and_never_cut_unseen(column):
    assert f"“1{'0' * 30}” is no" in why(**{column: 10**30}, **PICTURES)
    assert f"“{'9' * 39}…” is no" in why(**{column: "9" * 400}, **PICTURES)


@pytest.mark.parametrize("given", [0, "0", 42, "42", 42.0, "42.0", "+42", 2**53 - 1])
def test_a_seed_of_its_own_is_a_whole_number_below_2_to_the_53(given):
    assert plan(seed=given, **PICTURES).values["seed"] == given


@pytest.mark.parametrize(
    "given", [2**53, str(2**53), 2.0**53, 10**30, "9" * 400, -1, "-7", 1.5, "abc", True, [7]]
)
def test_a_seed_that_would_not_keep_its_digits_is_refused_with_what_is_allowed(given):
    reason = why(seed=given, **PICTURES)
    assert "“seed”" in reason
    assert "no whole number from 0 to 9007199254740991" in reason


def test_a_column_called_seed_that_no_workflow_of_the_row_takes_is_kept_as_it_is():
    needs = {"图片合成": WorkflowNeeds(frozenset(), frozenset()), "图生视频": NEEDS["图生视频"]}
    row = plan_row(RawRow(line=1, ordinal=1, values={"seed": "mustard"}), needs)
    assert isinstance(row, WantedRow)


@pytest.mark.parametrize("key", ["product_name", "row_number", "prompt", "product_image"])
def test_a_list_where_a_text_belongs_is_refused(key):
    assert key in why(**{**PICTURES, key: ["x"]})


def test_numbers_as_names_are_taken_as_people_see_them():
    assert plan(product_name=5.0, model_name=True, **PICTURES).product_name == "5"


def same(first: dict, second: dict) -> bool:
    inputs = {
        column: InputFile(name="x", sha256=column, size_bytes=1)
        for column in ("product_image", "model_image")
    }
    rows = [plan(**{**PICTURES, **values}) for values in (first, second)]
    assert all(isinstance(row, WantedRow) for row in rows)
    return likeness(rows[0], inputs) == likeness(rows[1], inputs)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"workflow_type": "图片合成"}),
        ({}, {"priority": 0}),
        ({"数量": 3}, {"数量": "3"}),
        ({"数量": 3.0}, {"数量": "3"}),
        ({"product_image": "p.png"}, {"product_image": "./other/name.png"}),
        ({"product_name": "Cafe\u0301"}, {"product_name": "Caf\u00e9"}),
    ],
)
def test_rows_are_alike_when_people_see_the_same(first, second):
    assert same(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"prompt": "x"}),
        ({"row_number": 1}, {"row_number": 2}),
        ({"priority": 1}, {"priority": 2}),
        ({"a": "b"}, {"a b": ""}),
        ({"image": "i.png"}, {"image": "j.png"}),
    ],
)
def test_rows_differ_when_any_value_does(first, second):
    assert not same(first, second)


def test_the_occurrence_makes_equal_rows_of_one_drop_differ():
    assert fingerprint("x", 1) != fingerprint("x", 2)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("Spring 2026", "spring-2026"),
        ("春季 新品", "春季-新品"),
        ("a/b\0c..rerun", "a-b-c-rerun"),
        ("../../etc", "etc"),
        ("***", "job"),
        ("x" * 300, "x" * 40),
    ],
)
def test_slugs_hold_only_letters_digits_and_hyphens(name, made):
    assert slug(name) == made
    assert new_batch_id(name)[:-7] == made


def test_lone_surrogates_and_numbers_beyond_json_are_made_harmless():
    assert clean_text("a\udcffb") == "a\ufffdb"
    assert tidy({"\ud800": [" x ", 2**70, float("nan"), -3]}) == {
        "\ufffd": ["x", str(2**70), None, -3]
    }
