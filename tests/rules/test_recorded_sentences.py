"""What steps write into records can be told in Chinese: the catalogue's own entry made it."""

import ast
import errno
import os
import re
import string
from collections.abc import Iterator
from itertools import count

import pytest

from daemon.words.catalogue import CATALOGUE
from daemon.words.retelling import LEDGER, in_language
from tests.rules.test_rules import ROOT, SOURCES

#: They write records, or raise what is written there.
STEPS = (
    *("settle", "dispatch", "comfy", "collect", "follow", "upkeep", "publish", "actions"),
    *("story", "feishu"),
)
#: Two words in a row: no name, key or code has a blank.
SENTENCE = re.compile(r"[A-Za-z]{2,}[:,;]? [a-z]{2,}")
#: What others say and is looked for, and what only a log or a developer reads.
OTHER_TEXTS = {
    *("out of memory", "not enough memory", "can't allocate memory"),
    *("because node (.+) does not exist", "Traceback (most recent call last)"),
    *("retry_context ends by returning or raising", "history of {}"),
    *("{} bytes of an unknown kind, not looked into", "{}, {} x {}, too big to be decoded"),
    *("a frame ends too early", "a frame has the wire type {}", "log id {}"),
    "application/json; charset=utf-8",
}
#: Of the ledger: what only a wrong program is told.
OF_DEVELOPERS = {
    *("a transaction has at least one record", "not to be written as JSON: {}"),
    *("in_stage is for open stages, not {}", "the ledger's format {} is none that ever was"),
    *("a journal of this name has content", "the journal is not open for writing"),
    *("the ledger was never opened", "this process"),
}
MODULES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
    for path in SOURCES
    if path.is_relative_to(ROOT / "daemon") and "simulator" not in path.parts
}
MADE = [
    (f"{place}:{node.lineno}", node)
    for place, module in MODULES.items()
    for node in ast.walk(module)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "recorded"
]


def unsaid(module: ast.Module) -> Iterator[ast.AST]:
    """Yield what no person is told: docstrings, types, and what goes to the log."""
    for node in ast.walk(module):
        match node:
            case ast.Expr(value=ast.Constant()):
                yield node.value
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"))):
                yield from ast.walk(node)
            case ast.Call(func=ast.Name(id="cast"), args=[kind, _]):
                yield kind


def texts_in(module: ast.Module) -> Iterator[str]:
    """Yield every literal that may be told, ``{}`` where something fills it."""
    seen = {id(node) for node in unsaid(module)}
    for node in ast.walk(module):
        match node:
            case _ if id(node) in seen:
                continue
            case ast.JoinedStr(values=parts):
                seen |= {id(part) for part in parts}
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts
                )
            case ast.Constant(value=str(text)):
                yield text


def keys_of(call: ast.Call) -> set[str]:
    """Return the entries that a call may mean; of a key that is no literal all that may be."""
    match call.args:
        case [ast.Constant(value=str(key))]:
            pattern = re.escape(key)
        case [ast.JoinedStr(values=parts)]:
            pattern = "".join(
                re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"\w+"
                for part in parts
            )
        case _:
            pattern = r"\w+"
    given = {each.arg for each in call.keywords}
    return {
        key
        for key, sentence in CATALOGUE["en"].items()
        if re.fullmatch(rf"reason\.{pattern}", key)
        and (
            None in given
            or given == {name for _, name, _, _ in string.Formatter().parse(sentence) if name}
        )
    }


@pytest.mark.parametrize("package", STEPS)
def test_no_step_writes_a_sentence_of_its_own(package: str) -> None:
    own = {
        f"{place}: {text}"
        for place, module in MODULES.items()
        if place.startswith(f"daemon/{package}/")
        for text in texts_in(module)
        if SENTENCE.search(text) and text not in OTHER_TEXTS
    }
    assert own == set()


def test_each_sentence_of_a_record_is_in_the_catalogue_and_given_what_fills_it() -> None:
    assert len(MADE) > 80
    assert [place for place, call in MADE if not keys_of(call)] == []


def test_each_sentence_of_the_catalogue_for_records_is_written_by_somebody() -> None:
    texts = {text for module in MODULES.values() for text in texts_in(module)}
    keys = "|".join(
        text.replace("{}", r"\w+") for text in texts if re.fullmatch(r"[a-z_{}]{4,}", text)
    )
    kept = [key.removeprefix("reason.") for key in CATALOGUE["en"] if key.startswith("reason.")]
    assert [key for key in kept if not re.fullmatch(keys, key)] == []


def test_whatever_the_ledger_says_of_itself_can_be_told_in_chinese() -> None:
    said = {
        text
        for path in SOURCES
        if path.is_relative_to(ROOT / "ledger")
        for text in texts_in(ast.parse(path.read_text("utf-8")))
        if SENTENCE.search(text) and text not in OF_DEVELOPERS
    }
    assert len(said) > 40
    told = {text: in_language(filled(text), "zh", LEDGER) for text in said}
    assert {text for text, in_chinese in told.items() if SENTENCE.search(in_chinese)} == set()


def test_the_system_says_what_the_catalogue_takes_it_to_say() -> None:
    names = [key.partition(".")[2] for key in CATALOGUE["en"] if key.startswith("system.E")]
    known = {name: CATALOGUE["en"][f"system.{name}"] for name in names}
    assert known == {name: os.strerror(getattr(errno, name)) for name in names}


def filled(text: str) -> str:
    """Return *text* with what may stand in its places."""
    numbers = count(1)
    return re.sub(r"\{\}", lambda _: f"x{next(numbers)}", text)
