import gc
import sys

from daemon.running import TURN_SECONDS, loop_first


def test_while_the_daemon_serves_threads_yield_soon_and_what_was_loaded_is_not_walked_over():
    before, frozen = sys.getswitchinterval(), gc.get_freeze_count()
    loaded = [[] for _ in range(1000)]
    with loop_first():
        assert sys.getswitchinterval() <= TURN_SECONDS * 1.01
        assert gc.get_freeze_count() >= frozen + len(loaded)
    assert (sys.getswitchinterval(), gc.get_freeze_count()) == (before, 0)
