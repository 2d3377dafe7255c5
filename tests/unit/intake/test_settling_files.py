import os
from pathlib import Path

import pytest

from daemon.intake.lease import Writers, writers_of
from daemon.intake.settling import Rest, Settling, Sight

NOW = 1_000_000.0


def sight(size: int = 1, age: float = 0.0, inode: int = 7) -> Sight:
    return Sight(size, int((NOW - age) * 1e9), inode)


def test_a_fresh_file_moves_until_it_was_watched_for_the_whole_time():
    settling = Settling(2.0)
    assert settling.look("a", sight(), monotonic=0.0, wall=NOW) is Rest.MOVING
    assert settling.look("a", sight(), monotonic=1.9, wall=NOW) is Rest.MOVING
    assert settling.look("a", sight(), monotonic=2.0, wall=NOW) is Rest.STILL


@pytest.mark.parametrize("changed", [sight(size=2), sight(age=0.5), sight(inode=8)])
def test_any_change_begins_the_time_anew(changed):
    settling = Settling(2.0)
    settling.look("a", sight(), monotonic=0.0, wall=NOW)
    assert settling.look("a", changed, monotonic=1.9, wall=NOW) is Rest.MOVING
    assert settling.look("a", changed, monotonic=3.8, wall=NOW) is Rest.MOVING
    assert settling.look("a", changed, monotonic=3.9, wall=NOW) is Rest.STILL


def test_a_file_written_long_ago_is_old_at_first_sight():
    assert Settling(2.0).look("a", sight(age=2), monotonic=0.0, wall=NOW) is Rest.OLD


def test_a_time_in_the_future_is_never_old_but_comes_to_rest():
    settling = Settling(2.0)
    assert settling.look("a", sight(age=-999), monotonic=0.0, wall=NOW) is Rest.MOVING
    assert settling.look("a", sight(age=-999), monotonic=2.0, wall=NOW) is Rest.STILL


def test_what_is_gone_is_forgotten():
    settling = Settling(2.0)
    settling.look("a", sight(), monotonic=0.0, wall=NOW)
    settling.keep_only(set())
    assert settling.look("a", sight(), monotonic=9.0, wall=NOW) is Rest.MOVING


def test_the_kernel_tells_who_still_writes(tmp_path: Path):
    path = tmp_path / "a.csv"
    with path.open("w") as file:
        if writers_of(path) is Writers.UNKNOWN:
            pytest.skip("no read leases on this file system")
        assert writers_of(path) is Writers.SOME
        file.write("x")
    assert writers_of(path) is Writers.NONE


def test_a_writer_that_comes_during_the_question_harms_neither_side(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.touch()
    for _ in range(200):
        assert writers_of(path) is not Writers.SOME
        with path.open("a") as file:
            file.write("x")
    assert path.stat().st_size == 200


def test_of_what_is_no_file_nothing_is_known_and_nothing_is_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    assert writers_of(tmp_path / "pipe") is Writers.UNKNOWN
    assert writers_of(tmp_path / "link") is Writers.UNKNOWN
    with pytest.raises(FileNotFoundError):
        writers_of(tmp_path / "nothing")
