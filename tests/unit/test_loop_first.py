import gc
import subprocess
import sys

from daemon.running import NEW_OBJECTS, TURN_SECONDS, loop_first


def test_while_the_daemon_serves_threads_yield_soon_and_garbage_is_looked_for_less_often():
    before, frozen = (sys.getswitchinterval(), gc.get_threshold()), gc.get_freeze_count()
    loaded = [[] for _ in range(1000)]
    with loop_first():
        assert sys.getswitchinterval() <= TURN_SECONDS * 1.01
        assert gc.get_freeze_count() >= frozen + len(loaded)
        assert gc.get_threshold()[0] == NEW_OBJECTS
    assert (sys.getswitchinterval(), gc.get_threshold()) == before
    assert gc.get_freeze_count() == 0


CHUNKS_COME_AND_GO = """
import resource
from daemon.running import loop_first

with loop_first():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        chunks = [b"x" * 300_000 for _ in range(8)]
        del chunks
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_memory_of_chunks_that_come_and_go_is_mapped_once():
    command = [sys.executable, "-c", CHUNKS_COME_AND_GO]
    faults = int(subprocess.check_output(command, text=True))
    assert faults < 5 * 8 * 300_000 / 4096  # of fifty times
