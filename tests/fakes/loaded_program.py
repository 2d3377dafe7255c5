"""Has the program's modules loaded, and becomes the program in a fork whenever asked to.

Started by ``program``; ends when the door to it is closed.
"""

import gc
import json
import os
import socket
import sys

from daemon import app  # noqa: F401 - what the command ``run`` loads
from daemon.cli import run  # noqa: F401 - likewise
from daemon.cli.main import main
from tests.fakes.program import REQUEST_BYTES


def next_program(door: socket.socket) -> list[str]:
    """Return once in each process that is to be the program, with its arguments."""
    while True:
        request, files, _, _ = socket.recv_fds(door, REQUEST_BYTES, 2)
        if not request:
            os._exit(0)
        if (middle := os.fork()) == 0:
            if (program := os.fork()) == 0:
                door.close()
                return _become(request, files)
            door.send(b"%d" % program)
            os._exit(0)  # an orphan now, the program becomes the child of who asked for it
        os.waitpid(middle, 0)
        for file in files:
            os.close(file)


def _become(request: bytes, files: list[int]) -> list[str]:
    folder, environment, arguments = json.loads(request)
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    return list(arguments)


if __name__ == "__main__":
    gc.freeze()  # else each copies what it only looks at
    main(next_program(socket.socket(fileno=int(sys.argv[1]))))
