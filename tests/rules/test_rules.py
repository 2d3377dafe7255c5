"""The house rules that a machine can check."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for package in ("daemon", "ledger", "config") for path in (ROOT / package).rglob("*.py")
)
#: Each foreign world has one door.
IMPORTERS = {
    "watchdog": ["daemon/intake/watching.py"],
    "apscheduler": ["daemon/upkeep/schedule.py"],
    "filelock": ["ledger/jsondir/"],
    "click": ["daemon/cli/"],
    "rich": ["daemon/cli/"],
    "openpyxl": ["daemon/intake/workbook.py", "daemon/tables/xlsx.py"],
    "av": ["daemon/comfy/simulator/", "daemon/web/thumbs.py"],
    "aiohttp": ["daemon/comfy/", "daemon/feishu/", "daemon/web/"],
}
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("package", IMPORTERS)
def test_each_foreign_world_is_imported_in_its_own_place_only(package: str) -> None:
    places = {path.relative_to(ROOT).as_posix() for path in SOURCES if package in imports_of(path)}
    strangers = {
        place for place in places if not any(place.startswith(door) for door in IMPORTERS[package])
    }
    assert strangers == set()


def test_no_module_has_a_vague_name_or_more_than_300_lines() -> None:
    vague = [path for path in SOURCES if path.stem in VAGUE]
    long = [path for path in SOURCES if len(path.read_text("utf-8").splitlines()) > 300]
    assert vague == []
    assert long == []


def test_only_one_module_makes_tasks_that_outlive_their_caller() -> None:
    makers = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if "asyncio.create_task(" in path.read_text("utf-8") and "simulator" not in path.parts
    }
    # lookup ends the readers it starts before it returns
    assert makers == {"daemon/running.py", "daemon/comfy/lookup.py"}


def test_only_one_module_of_the_ledger_touches_the_disk_for_writing() -> None:
    writing = ("os.fsync", "os.fdatasync", "os.write", "os.rename", "os.replace", ".write_bytes(")
    writers = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if path.is_relative_to(ROOT / "ledger")
        and any(call in path.read_text("utf-8") for call in writing)
    }
    assert writers == {"ledger/jsondir/files.py"}


def test_every_test_name_is_a_sentence() -> None:
    short = [
        f"{path.name}: {node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and node.name.count("_") < 3
    ]
    assert short == []


def test_no_two_test_modules_share_a_name() -> None:
    names = [path.name for path in ROOT.glob("tests/**/test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_the_top_level_is_the_users_own() -> None:
    listed = {
        path.name
        for path in ROOT.iterdir()
        if not path.name.startswith(".") and path.suffix != ".egg-info"
    }
    allowed = {
        *("daemon", "config", "ledger", "tests", "run_daemon.py", "pyproject.toml", "README.md"),
        *("LICENSE", "CHANGELOG.md", "build", "var", "__pycache__"),
        "rowkeeper.toml",  # the user's own, where the quick start has him put it
    }
    assert listed <= allowed


def test_apscheduler_stays_below_version_4() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "apscheduler>=3.11,<4" in project["dependencies"]
