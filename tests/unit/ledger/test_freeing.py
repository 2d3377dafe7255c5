"""Large files that nobody has any more are freed in pieces; all others stay whole."""

import os
from pathlib import Path

import pytest

from ledger.jsondir import freeing
from ledger.jsondir.files import Disk, temporary
from tests.fakes.disk import FailingDisk

SIZE_BYTES = 3 * freeing.PIECE_BYTES + 5


@pytest.fixture
def cuts(monkeypatch) -> list[int]:
    """The sizes that files were cut to."""
    sizes: list[int] = []
    cut = os.ftruncate

    def watched(fd: int, size_bytes: int) -> None:
        sizes.append(size_bytes)
        cut(fd, size_bytes)

    monkeypatch.setattr(os, "ftruncate", watched)
    return sizes


@pytest.fixture
def old(tmp_path) -> Path:
    path = tmp_path / "ledger.previous.json"
    path.write_bytes(b"old" + bytes(SIZE_BYTES - 3))
    return path


def replace(old: Path, disk: Disk) -> None:
    current = old.with_name("ledger.json")
    current.write_bytes(b"current")
    temporary(current).write_bytes(b"new")
    disk.take_place("snapshot", current, keep=old)


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_that_nobody_has_is_freed_piece_by_piece_once_its_loss_is_durable(old, cuts, how):
    class Watched(Disk):
        def sync_folder(self, folder: Path) -> None:
            assert cuts == []
            super().sync_folder(folder)

    if how == "removed":
        Watched().remove("journal", old)
        assert not old.exists()
    else:
        replace(old, Watched())
        assert old.read_bytes() == b"current"
    piece = freeing.PIECE_BYTES
    assert cuts == [SIZE_BYTES - piece, SIZE_BYTES - 2 * piece, SIZE_BYTES - 3 * piece]


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR])
def test_whoever_has_it_open_reads_all_of_it(old, cuts, flags):
    reader = os.open(old, flags)
    replace(old, Disk())
    assert cuts == []
    assert os.fstat(reader).st_size == SIZE_BYTES
    assert os.read(reader, 3) == b"old"
    os.close(reader)


def test_another_name_of_it_keeps_all_of_it(old, cuts):
    os.link(old, old.with_name("backup.json"))
    replace(old, Disk())
    assert cuts == []
    assert old.with_name("backup.json").stat().st_size == SIZE_BYTES


def test_a_link_is_not_followed(old, cuts):
    elsewhere = old.rename(old.with_name("elsewhere.json"))
    old.symlink_to(elsewhere)
    Disk().remove("journal", old)
    assert cuts == []
    assert elsewhere.stat().st_size == SIZE_BYTES


def test_as_long_as_the_loss_is_not_durable_all_of_it_stays(old, cuts):
    class Unsynced(FailingDisk):
        def sync_folder(self, folder: Path) -> None:
            raise OSError(5, "the name may come back")

    with pytest.raises(OSError, match="come back"):
        Unsynced().remove("journal", old)
    assert cuts == []
