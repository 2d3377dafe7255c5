"""The systemd unit: it fits the installation that prints it, and gives a service little room."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.builtin import EXAMPLES
from tests.fakes.world import ROOT

EXAMPLE = EXAMPLES / "systemd" / "rowkeeper.service"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not there: apt-get install systemd",
)


def printed(folder: Path, settings: str | None = None) -> tuple[dict[str, str], str]:
    """Return the active lines of the printed unit by key, and what was told on stderr."""
    command = [sys.executable, str(ROOT / "run_daemon.py"), "service-unit"]
    if settings is not None:
        (folder / "rowkeeper.toml").write_text(settings, encoding="utf-8")
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    (folder / "rowkeeper.service").write_text(run.stdout, encoding="utf-8")
    lines = re.findall(r"^(\w+)=(.*)$", run.stdout, flags=re.MULTILINE)
    return dict(lines), run.stderr


def test_the_unit_starts_this_very_installation_with_this_settings_file(tmp_path: Path) -> None:
    unit, told = printed(tmp_path, 'state_dir = "/var/lib/rk-spring"')
    program, *arguments = unit["ExecStart"].split()
    assert subprocess.run([program, "--version"], capture_output=True, check=True)
    assert arguments[-3:] == ["--config", str(tmp_path / "rowkeeper.toml"), "run"]
    assert unit["StateDirectory"] == "rk-spring"
    assert "ReadWritePaths" not in unit
    assert "state_dir" not in told


def test_folders_of_ones_own_are_opened_and_homes_are_seen_only_when_needed(tmp_path: Path) -> None:
    settings = """
        state_dir = "/srv/100% rows/state"
        [inbox]
        path = "/srv/drops"
        [outputs]
        path = "/home/anna/results"
    """
    unit, _ = printed(tmp_path, settings)
    assert unit["StateDirectory"] == ""
    assert unit["ReadWritePaths"] == '/home/anna/results "/srv/100%% rows/state" /srv/drops'
    assert unit["ProtectHome"] == "read-only"


def test_a_python_that_the_service_cannot_read_is_told(tmp_path: Path) -> None:
    unit, told = printed(tmp_path, 'state_dir = "/var/lib/rowkeeper"')
    python = Path(sys.executable).resolve()
    at_home = python.is_relative_to("/root") or python.is_relative_to("/home")
    assert (str(python) in told) is at_home
    assert unit["ProtectHome"] == ("read-only" if at_home else "yes")


def test_without_a_state_folder_in_the_settings_a_person_is_told_to_name_it(tmp_path: Path) -> None:
    unit, told = printed(tmp_path)
    assert unit["StateDirectory"] == "rowkeeper"
    assert 'state_dir = "/var/lib/rowkeeper"' in told


@needs_systemd
def test_systemd_finds_no_fault_with_the_printed_unit(tmp_path: Path) -> None:
    printed(tmp_path, 'state_dir = "/var/lib/rowkeeper"')
    run = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "rowkeeper.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "rowkeeper.service" not in run.stderr, run.stderr
    assert run.returncode == 0, run.stderr


@needs_systemd
def test_the_service_is_exposed_by_3_points_of_10_at_most(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager"]
    run = subprocess.run(
        [*command, str(tmp_path / EXAMPLE.name)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout[-300:] + run.stderr
