"""The catalogue says the same in both languages."""

import ast
import re
import string
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import msgspec
import orjson
import pytest

import config
import daemon
from config.sentences import SENTENCES
from daemon.dispatch.row_report import TROUBLES
from daemon.words import LANGUAGES, Words, language_of
from daemon.words.catalogue import CATALOGUE, SUBJECTS, area_of
from daemon.words.former import FORMER
from daemon.words.headings import SHOWN
from daemon.words.retelling import FIELDS, JSON, LEDGER, RECORDS, REPORTS, in_language
from ledger.batch import BatchStatus
from ledger.status import Stage
from tests.fakes.chinese import chinese_in, english_in

DAEMON = Path(daemon.__file__).parent
CONFIG = Path(config.__file__).parent
SOURCES = sorted(path for path in DAEMON.rglob("*.py") if not path.is_relative_to(DAEMON / "words"))


#: What makes a sentence of ``config.sentences``.
FAULT_MAKERS = {"fault", "Fault", "Problem.of"}
#: Text of libraries and the system, which is English, and what stands for it in Chinese.
FOREIGN = {"said", "error", "reason", "number", "task", "type", "what", "byte"}


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("sentences", [CATALOGUE, SENTENCES], ids=["daemon", "config"])
def test_both_languages_have_the_same_sentences_in_the_same_order(sentences):
    assert list(sentences["zh"]) == list(sentences["en"])


@pytest.mark.parametrize("key", SENTENCES["en"])
def test_what_is_said_of_settings_has_the_same_placeholders_in_both_languages(key):
    apart = placeholders(SENTENCES["zh"][key]) ^ placeholders(SENTENCES["en"][key])
    assert apart <= ({"said", "where"} if key == "file_no_toml" else {"said"})


def test_every_fault_of_the_settings_has_a_sentence_and_every_sentence_a_fault():
    said = set()
    for source in [*SOURCES, *CONFIG.rglob("*.py")]:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in FAULT_MAKERS:
                literals = (each for arg in node.args for each in ast.walk(arg))
                said |= {each.value for each in literals if isinstance(each, ast.Constant)}
    assert SENTENCES["en"].keys() - said == set()
    alone = {each for each in said if re.fullmatch("[a-z_]+", str(each))}
    assert alone - SENTENCES["en"].keys() <= {"servers", "workflows", "_"}  # places, and a value


@pytest.mark.parametrize("key", CATALOGUE["en"])
def test_both_languages_fill_the_same_placeholders(key):
    apart = placeholders(CATALOGUE["zh"][key]) ^ placeholders(CATALOGUE["en"][key])
    foreign = ("intake.", "failure.", "field.", "json.", "table.xlsx_damaged")
    own = not key.startswith((*foreign, "error.bad_multipart"))
    assert apart == set() if own else apart <= FOREIGN


@pytest.mark.parametrize("sentences", [CATALOGUE, SENTENCES], ids=["daemon", "config"])
def test_no_sentence_has_words_of_the_other_language_but_for_what_it_is_given(sentences):
    assert {key: text for key, text in sentences["en"].items() if chinese_in(text)} == {}
    assert {key: text for key, text in sentences["zh"].items() if english_in(text)} == {}


#: What has another name, by the name that it has everywhere else.
OTHER_NAMES = {
    "台账": ("账本", "帐本"),
    "任务文件": ("作业",),
    "收件夹": ("收件箱", "投递", "投放"),
    "重跑": ("重做", "再次运行", "重新运行"),
    "种子": ("随机种子",),
    "接任务": ("派发",),
    "设置": ("配置",),
    "应答": ("答复", "回答", "响应"),
    "提示词": ("提示语",),
    "令牌": ("口令",),
}


def told_in_chinese() -> Iterator[tuple[str, str]]:
    """Yield every Chinese text for people, with where it stands."""
    yield from CATALOGUE["zh"].items()
    yield from SENTENCES["zh"].items()
    page = DAEMON / "web" / "static" / "words-zh.js"
    yield from ((page.name, line) for line in page.read_text("utf-8").splitlines())
    readme = (DAEMON.parent / "README.md").read_text("utf-8")
    (chinese,) = re.findall("^## 中文.*?(?=^## )", readme, re.MULTILINE | re.DOTALL)
    yield "README.md", chinese


def test_each_thing_has_one_name_in_chinese():
    found = {
        (place, other): name
        for place, text in told_in_chinese()
        for name, others in OTHER_NAMES.items()
        for other in others
        if other in text
    }
    assert found == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_subject_names_the_areas_of_its_sentences(language):
    written = {
        path.stem: getattr(import_module(f"daemon.words.{path.stem}"), language.upper(), {})
        for path in (DAEMON / "words").glob("*.py")
        if not path.stem.startswith("__")
    }
    found = {subject: {area_of(key) for key in its} for subject, its in written.items() if its}
    assert found == {subject: set(areas) for subject, areas in SUBJECTS.items()}


def test_both_languages_have_a_heading_for_every_column():
    assert SHOWN["en"].keys() == SHOWN["zh"].keys()
    assert chinese_in("".join(SHOWN["en"].values())) == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_that_was_written_in_one_language_is_told_in_the_other(language):
    other = "en" if language == "zh" else "zh"
    for among in (RECORDS, LEDGER, REPORTS, FIELDS):
        ours = {key for key, _ in CATALOGUE["en"].among(among)}
        if language == "en":  # two readers have two sentences for one mistake
            ours -= {key for key, _ in CATALOGUE["en"].among(JSON)}
        for key in ours:
            holes = placeholders(CATALOGUE[other][key])
            if placeholders(CATALOGUE[language][key]) == holes:
                filled = {hole: f"<{hole}>" for hole in holes}
                written = CATALOGUE[other][key].format(**filled)
                told = CATALOGUE[language][key].format(**filled)
                assert in_language(written, language, among) == told
                assert in_language(told, language, among) == told


def test_what_an_earlier_version_wrote_is_told_as_what_is_written_today():
    for key, texts in FORMER.items():
        for text in texts:
            assert placeholders(text) == placeholders(CATALOGUE["zh"][key])
            assert text != CATALOGUE["en"][key]
            filled = {hole: f"<{hole}>" for hole in placeholders(text)}
            told = CATALOGUE["zh"][key].format(**filled)
            assert in_language(text.format(**filled), "zh") == told


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "{",
            '{"a" 1}',
            "{a: 1}",
            "{'a': 1}",
            '{"a": 1,}',
            "[1,]",
            "[1 2]",
            '{"a": 1 "b": 2}',
        ),
        *(
            '{"a": 1} x',
            '"a\nb"',
            '"\\x"',
            '"\\ud800"',
            '"\\ud800\\u0041"',
            "01",
            "-",
            "1.",
            "1e",
            "1e999",
        ),
        *("nul", "tru!", "NaN", "｛", "[" * 3000, "\ufeff1", b"\xff", b'"\xff"'),
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_why_a_text_is_no_json_is_told_in_chinese(text):
    data = text.encode() if isinstance(text, str) else text
    for read in (orjson.loads, msgspec.json.decode):
        try:
            read(data)
        except (orjson.JSONDecodeError, msgspec.DecodeError) as error:
            said = getattr(error, "msg", None) or str(error)
        except (UnicodeDecodeError, RecursionError) as error:
            said = str(error)
        else:
            continue
        assert re.findall("[a-z]+ [a-z]+", in_language(said, "zh", JSON)) == []


def keys_in_code() -> set[str]:
    """Return every literal that looks like a key of the catalogue."""
    areas = {key.partition(".")[0] for key in CATALOGUE["en"]}
    found = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                area, dot, rest = node.value.partition(".")
                if dot and area in areas and rest.replace(".", "").replace("_", "").isalpha():
                    found.add(node.value)
    return found


def test_every_sentence_is_said_somewhere():
    # put together from records
    made = {"action", "actor", "batch", "column", "error", "stage", "story", "stuck", "table"}
    made |= {"trouble", "intake", "failure", "status", "reason", "ledger", "system", "json"}
    made |= {"field", "usage", "kind", "request", "evidence", "publish"}
    said = keys_in_code()
    unsaid = {key for key in CATALOGUE["en"] if key.partition(".")[0] not in made} - said
    assert not unsaid


def test_every_stage_batch_status_and_trouble_has_a_word():
    wanted = {f"stage.{stage}" for stage in Stage}
    wanted |= {f"batch.{status}" for status in BatchStatus}
    wanted |= {f"trouble.{trouble}" for trouble in TROUBLES}
    assert wanted <= CATALOGUE["en"].keys()


@pytest.mark.parametrize(
    ("env", "wanted", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "auto", "zh"),
        ({"LANG": "en_US.UTF-8"}, "auto", "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "auto", "en"),
        ({"LANG": "C", "LC_MESSAGES": "zh_TW"}, "auto", "zh"),
        ({"LANG": "zh_CN", "LC_ALL": ""}, "auto", "zh"),
        ({}, "auto", "en"),
        ({"LANG": "zh_CN"}, "en", "en"),
        ({}, "zh", "zh"),
    ],
)
def test_the_language_is_that_of_the_settings_else_of_the_locale(env, wanted, language):
    assert language_of(env, wanted) == language


def test_a_sentence_is_filled():
    assert Words("zh")("stuck.some", count=3) == "有 3 个任务运行超时。"


TROUBLE_MAKERS = {"Trouble", "Unreachable", "InUse", "Misconfigured", "OutOfQuota", "Refused"}


def table_troubles() -> set[str]:
    """Return every code that a table's trouble is made with."""
    codes = set()
    for source in SOURCES:
        if source.relative_to(DAEMON).parts[0] not in ("tables", "intake", "publish"):
            continue
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in TROUBLE_MAKERS:
                given = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "code")]
                codes |= {each.value for each in given if isinstance(each, ast.Constant)}
    return codes


def test_every_trouble_of_a_table_has_a_sentence():
    codes = table_troubles()
    assert len(codes) > 20
    assert {f"table.{code}" for code in codes} <= CATALOGUE["en"].keys()
