"""A command line in a folder of its own, with a ledger to read."""

import asyncio
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog

from daemon.cli.main import exit_code
from ledger.entry import Record
from ledger.jsondir.journal import CRC_BYTES, sealed
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger


class CommandLine:
    """Calls commands with the settings of one folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = folder / "rowkeeper.toml"
        self.configure("")
        self.state_dir = folder / "var"
        self.ledger = self.state_dir / "ledger"
        self._capsys = capsys
        self.err = ""

    def configure(self, text: str) -> None:
        anywhere = "" if "[web]" in text else "web.port = 0\n"
        self.config.write_text(f'language = "en"\n{anywhere}{text}', "utf-8")

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command, expect its exit code, return its stdout."""
        self._capsys.readouterr()
        given = exit_code(["--config", str(self.config), *arguments])
        out, self.err = self._capsys.readouterr()
        assert given == code, (out, self.err)
        return out

    def json(self, *arguments: str, code: int = 0):
        """Run a command with ``--json`` and return its one document."""
        return json.loads(self(*arguments, "--json", code=code))

    def record(self, *transactions: Sequence[Record]) -> None:
        """Write transactions into the ledger, as a daemon that ran and ended."""

        async def write() -> None:
            ledger = Ledger(JsonDirBackend(self.ledger))
            await ledger.open()
            for records in transactions:
                await ledger.commit(*records, op="test.recorded", reason="for the test")
            await ledger.close()

        asyncio.run(write())

    def make_newer(self) -> None:
        """Have the ledger be one that a later version wrote, in format 99."""
        path = self.ledger / "ledger.json"
        body = path.read_bytes().replace(b'"format":1', b'"format":99')[: -CRC_BYTES - 1]
        path.write_bytes(sealed(body))


@pytest.fixture
def command(tmp_path, capsys, monkeypatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


@pytest.fixture
def restored_logs():
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()
