"""`service-unit`: the systemd unit of this very installation."""

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from config.builtin import EXAMPLES
from config.load import FILE_NAME, Loaded
from config.settings import Settings
from daemon.cli.commands import help_words
from daemon.cli.invocation import Invocation, pass_invocation

#: Where systemd keeps ``StateDirectory=``, and where a service's settings are looked for.
STATE, SETTINGS = Path("/var/lib"), Path("/etc/rowkeeper") / FILE_NAME
#: What ``ProtectHome=yes`` hides.
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))


@click.command(name="service-unit", help=help_words("help.service_unit"))
@pass_invocation
def service_unit(invocation: Invocation) -> None:
    """Print the unit; on stderr, what in the settings does not fit a service."""
    loaded = invocation.loaded
    example = (EXAMPLES / "systemd" / "rowkeeper.service").read_text("utf-8")
    invocation.show(with_values(example, values_of(loaded, program())).rstrip())
    if _in_a_home(_interpreter()):
        click.echo(invocation.words("unit.python_in_home", python=_interpreter()), err=True)
    if "state_dir" not in loaded.origins:
        file = loaded.file or SETTINGS
        click.echo(
            invocation.words("unit.state_dir", file=file, path=STATE / "rowkeeper"), err=True
        )


def program() -> list[str]:
    """Return the command that starts this installation, by absolute paths."""
    installed = Path(sys.executable).with_name("rowkeeper")
    if installed.exists():
        return [str(installed)]
    return [sys.executable, str(Path(sys.argv[0]).resolve())]


def values_of(loaded: Loaded, command: Iterable[str]) -> dict[str, str]:
    """Return the lines of the example that these settings change, by their keys."""
    settings, file = loaded.settings, loaded.file or SETTINGS
    words = [*command, "--config", str(file), "run"]
    values = {"ExecStart": " ".join(map(_escaped, words))}
    own, state_dir = _own_folders(settings), settings.state_dir
    if "state_dir" in loaded.origins:  # else it is what systemd makes of StateDirectory=
        values["StateDirectory"] = state_dir.name if state_dir.parent == STATE else ""
    if values.get("StateDirectory") != "":
        own = [path for path in own if not path.is_relative_to(state_dir)]
    if own:
        values["ReadWritePaths"] = " ".join(_escaped(str(path)) for path in own)
    if any(_in_a_home(path) for path in [_interpreter(), *map(Path, words), *own]):
        values["ProtectHome"] = "read-only"
    return values


def with_values(unit: str, values: Mapping[str, str]) -> str:
    """Return *unit* with the lines of these keys (also one that is commented out) replaced."""
    for key, value in values.items():
        line = f"{key}={value}".replace("\\", r"\\")
        unit = re.sub(rf"^#?{key}=.*$", line, unit, count=1, flags=re.MULTILINE)
    return unit


def _own_folders(settings: Settings) -> list[Path]:
    """Return the outermost folders that the daemon writes in."""
    folders = {
        settings.state_dir,
        settings.inbox.path,
        settings.ledger.path,
        settings.outputs.path,
        settings.inputs.path,
        settings.web.admin_token_file.parent,
        *(table.path.parent for table in settings.tables if table.path),  # replaced by a rename
    }
    outer = [
        path
        for path in folders
        if not any(path != other and path.is_relative_to(other) for other in folders)
    ]
    return sorted(outer)


def _interpreter() -> Path:
    """Return the Python that runs; that of a virtual environment lies elsewhere."""
    return Path(sys.executable).resolve()


def _in_a_home(path: Path) -> bool:
    return any(path.is_relative_to(home) for home in _HOMES)


def _escaped(word: str) -> str:
    """Return *word* as systemd reads it back: % and $ are special, blanks need quotes."""
    word = word.replace("%", "%%").replace("$", "$$")
    return f'"{word}"' if " " in word else word
