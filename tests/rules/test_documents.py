"""The documents say what the program is: every setting, error, path and number stands there."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from config.builtin import EXAMPLES
from daemon.cli.main import COMMANDS
from daemon.retrying import FAILURE_CLASSES
from daemon.words.catalogue import CATALOGUE
from ledger.task import Task
from tests.rules import reference

ROOT = Path(__file__).parents[2]
README, OPERATING = ROOT / "README.md", ROOT / "config" / "OPERATING.md"
DOCUMENTS = (README, OPERATING, reference.PATH)


@pytest.mark.parametrize("name", reference.TABLES)
def test_each_table_of_the_reference_is_what_the_source_says(name: str) -> None:
    found = reference.part(reference.PATH.read_text("utf-8"), name)
    assert found is not None
    assert found[0] == reference.table(name), "run: python -m tests.rules.reference"


def test_every_kind_of_failure_is_explained_with_its_policy() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| (\w+) \|", text(reference.PATH), re.MULTILINE
    )
    told = {kind: (by_itself, halts == "yes") for kind, by_itself, halts in rows}
    assert set(FAILURE_CLASSES) <= set(told)
    for kind, policy in FAILURE_CLASSES.items():
        by_itself, halts = told[kind]
        assert (by_itself != "no") == policy.retried, kind
        assert ("counted" in by_itself) == policy.counts_as_retry, kind
        assert halts == policy.counts_as_failure, kind


def test_every_field_of_a_task_that_the_reference_names_exists() -> None:
    (named,) = re.findall(r"^A task: `([^`]+)`", text(reference.PATH), re.MULTILINE)
    assert set(re.split(r",\s+", named)) <= set(Task.__struct_fields__)


def test_the_guide_tells_what_to_do_on_each_alert_rule() -> None:
    rules = yaml.safe_load(text(EXAMPLES / "prometheus" / "rowkeeper-alerts.yml"))
    for rule in rules["groups"][0]["rules"]:
        assert f"`{rule['alert']}`" in text(OPERATING), rule["alert"]


def test_the_guide_tells_what_to_do_on_each_word_of_the_bot() -> None:
    about_the_words = {"new", "again", "over", "more"}
    words = {key.partition(".")[2] for key in CATALOGUE["en"] if key.startswith("alert.")}
    for word in words - about_the_words:
        assert f"`{word}`" in text(OPERATING), word


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_of_the_source_that_a_document_names_is_there(document: Path) -> None:
    for path in re.findall(r"`((?:config|daemon|ledger|tests)/[\w/.-]+\.\w+)`", text(document)):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_inside_the_repository_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text(document)):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_and_toml_block_of_the_documents_is_real(document: Path) -> None:
    for command in re.findall(r"(?:run_daemon\.py|\browkeeper) (?!-)([a-z-]+)", blocks(document)):
        assert command in COMMANDS, command
    for block in re.findall(r"^```toml\n(.*?)^```", text(document), re.MULTILINE | re.DOTALL):
        tomllib.loads(block)


def test_the_two_commands_stand_within_the_first_thirty_lines() -> None:
    first = "\n".join(text(README).splitlines()[:30])
    assert "&& .venv/bin/python run_daemon.py demo" in first
    assert "&& .venv/bin/python -m pytest" in first


def blocks(document: Path) -> str:
    return "\n".join(re.findall(r"^ *```sh\n(.*?)^ *```", text(document), re.MULTILINE | re.DOTALL))


def text(path: Path) -> str:
    return path.read_text("utf-8")
