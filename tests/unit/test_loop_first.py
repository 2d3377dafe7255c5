import gc
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
