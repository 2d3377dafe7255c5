"""What result files are called."""

import unicodedata

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.output_name import columns_in, faults_of
from config.settings import Outputs
from daemon.collect.naming import (
    MAX_COMPONENT_BYTES,
    output_path,
    with_suffix,
)
from ledger.task import Task

DEFAULT = Outputs().name
TASK = Task(
    task_id="img_20261121_000067",
    root_task_id="img_20261121_000067",
    row_id="spring-k3w9qa:67",
    batch_id="spring-k3w9qa",
    row_number=67,
    product_name="产品A",
    model_name="模特B",
    workflow_type="图片合成",
    created_at="2026-11-21T10:00:00.000Z",
    updated_at="2026-11-21T10:00:00.000Z",
    row={"prompt": "红色 / 夜景", "颜色": "red", "size": 7},
    parameters={"seed": 12345},
)


def named(template=DEFAULT, index=1, ext=".png", **fields):
    return output_path(template, msgspec.structs.replace(TASK, **fields), index, ext)


def test_the_default_name_holds_number_product_model_type_and_index():
    assert named() == "spring-k3w9qa/0067_产品A_模特B_图片合成_1.png"


@pytest.mark.parametrize(
    ("row_number", "shown"),
    [(67, "0067"), ("67", "0067"), ("A-7", "A-7"), ("７", "0007"), (-3, "-003")],
)
def test_a_row_number_is_padded_when_it_is_a_number_and_kept_when_it_is_text(row_number, shown):
    assert named("{row_number:04d}_{index}{ext}", row_number=row_number) == f"{shown}_1.png"


@pytest.mark.parametrize(
    ("product", "shown"),
    [
        ("a/b\0c", "a_b_c"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "x"),
        (".hidden", "hidden"),
        ("C:\\x", "C__x"),
        ('q<>:"|?*', "q_______"),
        ("line\nbreak\x7f", "line_break_"),
        ("abc\u202egnp", "abc_gnp"),
        ("e\u0301", "\u00e9"),
        ("lone\ud800", "lone_"),
        ("👩\u200d🔧", "👩\u200d🔧"),
    ],
)
def test_a_product_name_cannot_play_tricks(product, shown):
    found = named("{product_name}_x{index}{ext}", product_name=product)
    assert found == (f"{shown}_x1.png" if shown != "x" else "_x1.png")


@pytest.mark.parametrize("name", ["CON", "nul", "com1", "LPT9", "aux"])
def test_names_that_windows_reserves_are_given_a_mark(name):
    assert named("{product_name}/{index}{ext}", product_name=name) == f"_{name}/1.png"
    assert named("{product_name}{ext}", product_name=name) == f"_{name}.png"


def test_dots_and_blanks_at_the_edges_of_a_folder_vanish():
    assert named("{product_name}/{index}{ext}", product_name=" . a b .\u3000. ") == "a b/1.png"


def test_an_empty_folder_name_still_is_a_folder():
    assert named("{product_name}/{index}{ext}", product_name="...") == "_/1.png"


def test_a_long_product_name_is_cut_and_index_and_extension_stay():
    found = named(product_name="很" * 300, index=12)
    folder, name = found.split("/")
    assert folder == "spring-k3w9qa"
    assert name.startswith("0067_很很")
    assert name.endswith("很_模特B_图片合成_12.png")
    assert MAX_COMPONENT_BYTES - 3 < len(name.encode()) <= MAX_COMPONENT_BYTES


def test_the_longest_values_are_cut_first():
    name = named(product_name="p" * 250, model_name="m" * 230).split("/")[1]
    assert abs(name.count("p") - name.count("m")) <= 20


@pytest.mark.parametrize(
    ("ext", "kept"),
    [
        (".PNG", ".png"),
        (".png/../../x", ""),
        ("", ""),
        (".mp4", ".mp4"),
        (".p\0g", ""),
        ("png", ""),
    ],
)
def test_only_a_plain_extension_is_kept(ext, kept):
    assert named("{row_number}_{index}{ext}", ext=ext) == f"67_1{kept}"


def test_any_column_and_any_parameter_may_be_in_the_name():
    assert named("{颜色}_{prompt}_{size:03d}_{seed}_{none}_{index}{ext}") == (
        "red_红色 _ 夜景_007_12345__1.png"
    )


def test_braces_and_dots_in_column_names_reach_nothing_but_the_column():
    assert named("{task_id.__class__}_{row[prompt]}_{index}{ext}") == "__1.png"


def test_a_taken_name_gets_the_task_id_before_its_extension():
    assert with_suffix("b/0067_x_1.png", "img_1") == "b/0067_x_1_img_1.png"
    folder, long = with_suffix("b/" + "很" * 80 + ".png", "img_20261121_000067").split("/")
    assert folder == "b"
    assert long.endswith("很_img_20261121_000067.png")
    assert len(long.encode()) <= MAX_COMPONENT_BYTES


# -- whatever comes -----------------------------------------------------------------------------

anything = st.text(st.characters(), max_size=400)
relaxed = settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))


def assert_harmless(path):
    for part in path.split("/"):
        assert part not in ("", ".", "..")
        assert 0 < len(part.encode()) <= MAX_COMPONENT_BYTES
        assert not part.startswith(".")
        assert not part.endswith((".", " "))
        assert not set(part) & set('/\\:*?"<>|')
        assert part == unicodedata.normalize("NFC", part)
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in path)


@relaxed
@given(anything, anything, anything, st.integers(0, 10**6), anything)
def test_no_row_can_make_a_harmful_name(product, model, number, index, ext):
    task = msgspec.structs.replace(TASK, product_name=product, model_name=model, row_number=number)
    path = output_path(DEFAULT, task, index, ext)
    assert_harmless(path)
    assert path.count("/") == 1
    assert path == output_path(DEFAULT, task, index, ext)
    assert f"_{index}" in path.rpartition("/")[-1]
    assert_harmless(with_suffix(path, TASK.task_id))


@relaxed
@given(st.text(st.sampled_from("ab{}/.: ~\\é"), max_size=30), anything)
def test_a_template_is_refused_or_makes_harmless_names(template, product):
    whole = template + "/{row_id}{product_name}_{index}{ext}"
    if not faults_of(whole):
        task = msgspec.structs.replace(TASK, product_name=product)
        assert_harmless(output_path(whole, task, 3, ".png"))


def test_a_name_tells_which_columns_of_the_maker_it_uses():
    template = "{batch}/{row_number:04d}_{product_name}_{colour:>8}_{index}{ext}"
    assert columns_in(template) == {"colour"}
