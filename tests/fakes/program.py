"""The real program as a process of its own, forked from one that has its modules loaded.

Loading them takes most of the time that a start takes, and the crash tests start it by the
hundred. What is started is as real as any: its own arguments, environment, files and end, and it
can be killed; only what Python itself takes from the environment comes from whoever started first.
Starts from nothing are tested where starting is what is tested.
"""

import asyncio
import atexit
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Self

ROOT = Path(__file__).parents[2]

#: prctl(2): whose parent dies is ours, as if we had started it.
_SET_CHILD_SUBREAPER = 36
REQUEST_BYTES = 128 * 1024


class Program:
    """A running program, to be used like an ``asyncio.subprocess.Process`` with two pipes."""

    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()
        self._handle = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._handle, self._take_end)

    @classmethod
    async def start(
        cls, arguments: Sequence[str], environment: Mapping[str, str], log: IO[bytes] | None = None
    ) -> Self:
        """Start the program with *arguments* and nothing but *environment*.

        What it says and logs goes into *log* instead of the pipes if there is one.
        """
        if log is not None:
            return cls(_fork(arguments, environment, log.fileno(), log.fileno()))
        out, out_there = os.pipe()
        err, err_there = os.pipe()
        try:
            program = cls(_fork(arguments, environment, out_there, err_there))
        finally:
            os.close(out_there)
            os.close(err_there)
        program.stdout, program.stderr = await _reader(out), await _reader(err)
        return program

    def _take_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._handle)
        os.close(self._handle)
        _, status = os.waitpid(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()

    async def wait(self) -> int:
        """Wait for its end; returns the exit code, -N after signal N."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        """Wait for its end; returns what is left of its output and errors."""
        out, err, _ = await asyncio.gather(self.stdout.read(), self.stderr.read(), self.wait())
        return out, err

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


async def _reader(pipe: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(pipe, "rb", 0))
    return reader


def _fork(arguments: Sequence[str], environment: Mapping[str, str], out: int, err: int) -> int:
    """Return the id of the new process, which is our child."""
    request = json.dumps([str(Path.cwd()), dict(environment), arguments]).encode()
    door = _loaded_program()
    socket.send_fds(door, [request], [out, err])
    return int(door.recv(32))


@cache
def _loaded_program() -> socket.socket:
    """Start the process that has everything loaded; it ends with us."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.fakes.loaded_program", str(theirs.fileno())]
    with theirs:
        loaded = subprocess.Popen(
            command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )

    def end() -> None:
        ours.close()
        loaded.wait()

    atexit.register(end)
    return ours
