"""The page's own files: complete in both languages, without markup from text, and small."""

import re
from pathlib import Path

import pytest

from daemon.retrying import FAILURE_CLASSES
from daemon.web.page import POLICY
from daemon.web.page_files import RECORDED_WORDS, read_page
from daemon.words.catalogue import CATALOGUE
from ledger.batch import BatchStatus
from ledger.status import Stage
from tests.fakes.world import ROOT

STATIC = ROOT / "daemon" / "web" / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))
STYLES = sorted(STATIC.glob("*.css"))
CODE = {path.name: path.read_text("utf-8") for path in SCRIPTS}
WORDS = {language: f"words-{language}.js" for language in ("zh", "en")}


def sentences(language: str) -> dict[str, str]:
    text = re.sub(r":\s*\n\s*", ": ", CODE[WORDS[language]])
    found = re.findall(r'^  (?:"([^"]+)"|(\w+)): "((?:[^"\\]|\\.)*)",$', text, re.MULTILINE)
    return {quoted or bare: sentence for quoted, bare, sentence in found}


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    zh, en = sentences("zh"), sentences("en")
    assert len(zh) > 150
    assert zh.keys() == en.keys()
    for key, sentence in zh.items():
        placeholders = set(re.findall(r"\{\w+\}", sentence))
        assert placeholders == set(re.findall(r"\{\w+\}", en[key])), key
    written = CODE[WORDS["zh"]].count('": "') + CODE[WORDS["zh"]].count('":\n')
    assert len(zh) >= written


def test_every_sentence_that_the_page_asks_for_is_there_and_none_is_left_over() -> None:
    known = sentences("en").keys()
    code = "\n".join(text for name, text in CODE.items() if name not in WORDS.values())
    plain = set(re.findall(r"""["']([a-z_]+(?:\.[a-z_]+)*)["']""", code))
    made = re.findall(r"`([a-z]+\.)\$\{", code)
    asked = set(re.findall(r'\bt\(\s*"([\w.]+)"', code))
    assert asked <= known, asked - known
    left_over = {key for key in known if key not in plain and not key.startswith(tuple(made))}
    assert left_over == set()


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("stage", [*Stage]),
        ("batch", [*BatchStatus]),
        ("kind", [*FAILURE_CLASSES, "unknown"]),
        ("kindhint", [*FAILURE_CLASSES, "unknown"]),
        ("held", ["server_unreachable", "server_drained", "server_unusable"]),
    ],
)
def test_every_word_of_the_ledger_has_one_for_people(prefix: str, names: list[str]) -> None:
    known = sentences("en").keys()
    assert {f"{prefix}.{name}" for name in names} <= known


def test_what_fails_is_called_the_same_on_the_page_and_by_the_command_line() -> None:
    called = {key: text for key, text in CATALOGUE["zh"].items() if key.startswith("kind.")}
    on_page = sentences("zh")
    assert called.keys() & on_page.keys() == {f"kind.{name}" for name in FAILURE_CLASSES}
    assert {key: on_page[key] for key in called.keys() & on_page.keys()}.items() <= called.items()


def test_text_becomes_markup_nowhere() -> None:
    for name, text in CODE.items():
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert way not in text, (name, way)
    assert "unsafe" not in POLICY
    assert "require-trusted-types-for 'script'" in POLICY
    html = (STATIC / "index.html").read_text("utf-8")
    assert not re.search(r"<script(?![^>]*src=)|style=|\bon\w+=", html)


def test_the_page_asks_nobody_but_its_own_daemon() -> None:
    for path in STATIC.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn", text), path.name


def test_every_file_that_is_named_is_sent() -> None:
    sent = read_page()
    assert sent.keys() == {path.name for path in STATIC.iterdir()} | {RECORDED_WORDS}
    named = set(re.findall(r"/static/([\w.-]+)", "".join(CODE.values()) + html_text()))
    named |= set(re.findall(r'from "\./([\w.-]+)"', "".join(CODE.values())))
    assert named <= sent.keys()


def html_text() -> str:
    return (STATIC / "index.html").read_text("utf-8")


@pytest.mark.parametrize("path", [*SCRIPTS, *STYLES], ids=lambda path: path.name)
def test_a_script_or_style_sheet_has_one_duty_and_at_most_300_lines(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert lines[0].startswith(("// ", "/* "))
    assert len(lines) <= 300


def test_the_colours_of_both_dark_themes_are_the_same() -> None:
    css = (STATIC / "theme.css").read_text("utf-8")
    chosen = re.search(r':root\[data-theme="dark"\] \{(.*?)\}', css, re.DOTALL)
    preferred = re.search(r':root:not\(\[data-theme="light"\]\) \{(.*?)\}', css, re.DOTALL)
    assert chosen is not None
    assert preferred is not None
    tokens = [set(re.findall(r"--[\w-]+: [^;]+;", each[1])) for each in (chosen, preferred)]
    assert tokens[0] == tokens[1] != set()
