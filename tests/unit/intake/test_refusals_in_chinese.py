"""Whoever reads Chinese is told in Chinese why something is not taken: every reason there is."""

import ast
import errno
import io
import string
from pathlib import Path

import pytest
from PIL import Image

import daemon
from daemon.intake.contents import ContentStore
from daemon.intake.errors import BadPicture
from daemon.intake.grid import RawRow
from daemon.intake.reports import error_report, reason_in
from daemon.intake.rows import RefusedRow, plan_row
from daemon.intake.safeopen import reason_of
from daemon.publish.fields import cells_of
from daemon.retrying import FAILURE_CLASSES
from daemon.words import LANGUAGES, Words
from daemon.words.catalogue import CATALOGUE
from ledger.memory import MemoryBackend
from ledger.status import Stage
from tests.fakes.chinese import english_in
from tests.fakes.records import task_record
from tests.unit.intake.house import NEEDS, House

ZH = Words("zh")
INTAKE = Path(daemon.__file__).parent / "intake"
#: What makes a reason of a code.
MAKERS = {"because", "BadPicture", "Unreadable"}
PICTURES = {"product_image": "p.png", "model_image": "m.png"}
ROWS = {
    "missing": {},
    "no_value": {**PICTURES, "prompt": ["a"]},
    "unknown_type": {**PICTURES, "workflow_type": "make it nice and bright"},
    "two_types": {**PICTURES, "workflow_type": "图片合成+图片合成"},
    "no_second_stage": {**PICTURES, "image": "i.png", "workflow_type": "图生视频+图片合成"},
    "no_priority": {**PICTURES, "priority": "high"},
    "no_seed": {**PICTURES, "seed": "abc"},
}


def is_chinese(text: str) -> bool:
    """Say whether *text* is in Chinese, but for what people or servers wrote."""
    return any("\u4e00" <= char <= "\u9fff" for char in text) and not english_in(text)


def codes_in_use() -> set[str]:
    """Return every code that the intake's source makes a reason of."""
    found: set[str] = set()
    for path in INTAKE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKERS:
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


def test_every_reason_in_the_source_stands_in_the_catalogue_and_every_sentence_is_used():
    worded = {key.removeprefix("intake.") for key in CATALOGUE["zh"] if key.startswith("intake.")}
    kinds = {code for code in worded if code.startswith(("a_", "an_"))} | {"and"}
    assert codes_in_use() - worded == set()
    assert worded - kinds - codes_in_use() == set()


@pytest.mark.parametrize(
    "key", [key for key in CATALOGUE["zh"] if key.startswith(("intake.", "failure.", "table."))]
)
def test_no_sentence_for_a_cell_is_english_where_it_should_be_chinese(key):
    sentence = CATALOGUE["zh"][key]
    holes = {name for _, name, _, _ in string.Formatter().parse(sentence) if name}
    filled = dict.fromkeys(holes, "X")
    assert not english_in(sentence.format(heading=ZH.headings, **filled))


@pytest.mark.parametrize("code", ROWS)
def test_every_refusal_of_a_row_is_told_in_chinese(code):
    refused = plan_row(RawRow(line=1, ordinal=1, values=ROWS[code]), NEEDS)
    assert isinstance(refused, RefusedRow)
    assert code in {reason.code for reason in refused.reasons}
    told = refused.text(ZH).replace("make it nice and bright", "…")
    assert is_chinese(told), told


@pytest.fixture
def drop(tmp_path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(whole, "PNG")
    (folder / "cut.png").write_bytes(whole.getvalue()[:900])
    Image.new("1", (1200, 1200)).save(folder / "large.png")
    (folder / "text.png").write_text("I am a text")
    (folder / "empty.png").touch()
    (folder / "folder.png").mkdir()
    (folder / "out.png").symlink_to("/etc/passwd")
    return folder


@pytest.mark.parametrize(
    "named",
    [
        *("cut.png", "large.png", "text.png", "empty.png", "folder.png", "out.png", "gone.png"),
        *("../../x.png", "a\0b.png", "x" * 300),
    ],
)
async def test_every_refusal_of_a_picture_is_told_in_chinese(named, drop, tmp_path):
    store = ContentStore(tmp_path / "inputs", max_picture_megapixels=1)
    with pytest.raises(BadPicture) as caught:
        await store.keep(named, drop)
    assert is_chinese(told := caught.value.reason.text(ZH)), told


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT, errno.EACCES, errno.ELOOP])
def test_what_the_system_refuses_is_told_in_chinese(number):
    assert is_chinese(told := reason_of(OSError(number, "x")).text(ZH)), told


async def test_the_reports_of_an_inbox_are_told_in_chinese_but_for_the_names_of_columns(tmp_path):
    house = House(tmp_path, MemoryBackend(), language="zh")
    await house.ledger.open()
    house.folder_drop("spring", "碗,小美,画画,p.png,m.png", "碗,小美,图片合成,gone.png,m.png")
    house.make("broken.csv", "colour,size\nred,3\n")
    await house.take_in()
    rows = house.report("spring.rejected.csv")
    assert [row["rowkeeper_line"] for row in rows] == ["2", "3"]
    for told in (*(row["rowkeeper_reason"] for row in rows), house.error("broken.csv")):
        assert is_chinese(told), told
    assert reason_in(house.error("broken.csv")).startswith("没有认识的列：找到 “colour”, “size”；")
    await house.ledger.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reason_is_read_back_from_its_report_in_either_language(language):
    report = error_report("spring.csv", "why: 原因：x", "2026-01-01T00:00:00.000Z", Words(language))
    assert reason_in(report.decode()) == "why: 原因：x"


@pytest.mark.parametrize("kind", FAILURE_CLASSES)
def test_every_kind_of_failure_is_told_in_chinese_before_the_servers_own_words(kind):
    task = task_record(1, Stage.FAILED, error_kind=kind, error_message="KSampler (node 3): <said>")

    class Families:
        def newest_of_family(self, *_: object) -> None:
            return None

    told = str(cells_of(Families(), [task], {}, ZH)["error"])
    assert is_chinese(told), told
    assert "<said>" in str(cells_of(Families(), [task], {}, Words("en"))["error"])
