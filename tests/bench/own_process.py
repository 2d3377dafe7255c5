"""A server in a process of its own, so that what is measured does not pay for it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_process(module: str, *arguments: str) -> Iterator[str]:
    """Run ``python -m MODULE ARGUMENTS…`` until the block ends; gives the first line it prints."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()
