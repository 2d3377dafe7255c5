"""Refusals speak both languages, whatever happens to the words."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import daemon.web
from daemon.web.refusal import error_document, language_wanted
from daemon.words.catalogue import CATALOGUE, SUBJECTS

SOURCES = sorted(Path(daemon.web.__file__).parent.glob("*.py"))


def codes_in_code() -> set[str]:
    """Return the first argument of every Refusal that is made."""
    found = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal":
                code = node.args[0]
                if isinstance(code, ast.Constant):
                    found.add(code.value)
    return found


def test_every_refusal_has_a_message_and_a_hint_in_both_languages():
    codes = codes_in_code()
    assert len(codes) > 20
    codes |= {"token_missing", "token_wrong", "unknown_batch", "unknown_task", "unknown_server"}
    codes |= {"conflict", "ledger_closed", "wrong_method", "unknown_path", "internal", "body_cut"}
    wanted = {f"error.{code}.{part}" for code in codes for part in ("message", "hint")}
    for language in ("zh", "en"):
        assert wanted - CATALOGUE[language].keys() == set()


@pytest.mark.parametrize("language", ["ZH", "EN"])
def test_no_key_stands_in_two_subjects(language):
    seen: dict[str, str] = {}
    for subject in SUBJECTS:
        for key in getattr(import_module(f"daemon.words.{subject}"), language):
            assert seen.setdefault(key, subject) == subject, key


@pytest.mark.parametrize(
    ("header", "setting", "language"),
    [
        (None, "auto", "zh"),
        (None, "en", "en"),
        ("en-US,en;q=0.9,zh-CN;q=0.8", "zh", "en"),
        ("fr, zh-TW;q=0.3, en;q=0.2", "en", "zh"),
        ("EN", "auto", "en"),
        ("*", "en", "en"),
        ("en;q=0", "zh", "zh"),
        (";;;q=x,,", "auto", "zh"),
    ],
)
def test_the_language_is_what_the_client_prefers_else_the_setting(header, setting, language):
    assert language_wanted(header, setting) == language


def test_a_code_without_words_and_values_that_do_not_fit_are_told_nevertheless():
    assert error_document("no_such_code", "en", {}).error.message == "no_such_code"
    assert "{id}" in error_document("unknown_task", "en", {}).error.message


def test_lists_are_told_in_words_and_kept_as_they_are():
    error = error_document("two_job_files", "en", {"names": ["a.csv", "b.csv"]}).error
    assert "a.csv, b.csv" in error.message
    assert error.details == {"names": ["a.csv", "b.csv"]}


def test_an_id_that_nobody_would_see_stands_in_quotes() -> None:
    error = error_document("unknown_server", "en", {"id": " "}).error
    assert error.message == "There is no server “ ”."
    assert error.details == {"id": " "}
