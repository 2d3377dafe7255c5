"""Reads the settings: file, then environment, then defaults; all problems at once."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from config.builtin import with_built_in_workflows
from config.environment import override
from config.errors import ConfigError, Problem
from config.faults import Fault, fault, unreadable
from config.given import Given, Origin, Table
from config.rules import find_contradictions
from config.secrets import CREDENTIALS
from config.sections import Reader
from config.settings import Settings

FILE_NAME = "rowkeeper.toml"


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings ready for use, the file they came from, and where each given value came from."""

    settings: Settings
    file: Path | None
    origins: Mapping[str, Origin]  # by place, as in "web.port"; what is absent is a default


def load(path: Path | None, env: Mapping[str, str], cwd: Path | None = None) -> Loaded:
    """Return the settings of the file *path*, checked whole, every path absolute.

    Without *path*: ``$ROWKEEPER_CONFIG``, else ``rowkeeper.toml`` in *cwd* (the working folder),
    else the defaults alone. Raises ConfigError with every problem there is.
    """
    cwd = cwd or Path.cwd()
    file = _find_file(path, env, cwd)
    table = {} if file is None else _parse(file)
    table, problems = override(table, env, cwd)
    if "state_dir" not in table and (folders := env.get("STATE_DIRECTORY")):
        first = folders.split(":")[0]
        table["state_dir"] = Given(first, Origin("env", "STATE_DIRECTORY"), cwd)
    workflows = with_built_in_workflows(table.get("workflows"))
    credentials = env.get(CREDENTIALS)
    reader = Reader(
        cwd if file is None else file.parent, Path(credentials) if credentials else None
    )
    table |= {"workflows": workflows}
    settings = reader.section(Settings, table)
    problems += reader.problems
    if not isinstance(settings, Settings):
        raise ConfigError(problems)
    settings = _with_absolute_paths(settings, reader.base)
    problems += _contradictions(settings, table, reader.base, problems)
    if problems:
        raise ConfigError(problems, readable=settings)
    return Loaded(settings=settings, file=file, origins=reader.origins)


def _contradictions(
    settings: Settings, table: Table, base: Path, problems: Sequence[Problem]
) -> list[Problem]:
    """Return contradictions, except of what was told to be wrong already."""
    told = {problem.place for problem in problems}
    secrets = "feishu.app_secret_file" in told or "feishu.app_secret" in told
    return [
        each
        for each in find_contradictions(settings, table, base)
        if each.place not in told
        and each.section not in told
        and not (secrets and any(wrong.code == "feishu_app" for wrong in each.faults))
    ]


def _find_file(path: Path | None, env: Mapping[str, str], cwd: Path) -> Path | None:
    if path is None and (named := env.get("ROWKEEPER_CONFIG")):
        path = Path(named)
    if path is not None:
        return (cwd / path).absolute()
    beside = (cwd / FILE_NAME).absolute()
    return beside if beside.exists() else None


def _parse(file: Path) -> Table:
    try:
        return tomllib.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        problem = Problem(place=str(file), faults=(unreadable(error),))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problem = Problem.of(str(file), "file_encoding", line=str(line))
    except tomllib.TOMLDecodeError as error:
        problem = Problem.of(str(file), "file_no_toml", said=str(error), where=_where(error))
    raise ConfigError([problem])


def _where(error: tomllib.TOMLDecodeError) -> Fault:
    """Return where the file is no TOML; what is wrong there the library says in English only."""
    found = re.search(r"at line (\d+), column (\d+)", str(error))
    return fault("at_line", line=found[1], column=found[2]) if found else fault("at_end")


def _with_absolute_paths(settings: Settings, base: Path) -> Settings:
    """Make defaults absolute: what is still relative by now is a default below state_dir."""
    state_dir = (base / settings.state_dir).absolute()

    def below(path: Path) -> Path:
        return state_dir / path

    return replace(
        settings,
        state_dir=state_dir,
        inbox=replace(settings.inbox, path=below(settings.inbox.path)),
        ledger=replace(settings.ledger, path=below(settings.ledger.path)),
        outputs=replace(settings.outputs, path=below(settings.outputs.path)),
        inputs=replace(settings.inputs, path=below(settings.inputs.path)),
        web=replace(settings.web, admin_token_file=below(settings.web.admin_token_file)),
        servers=tuple(replace(s, url=s.url.rstrip("/")) for s in settings.servers),
    )
