"""The content-addressed store of input pictures: ``sha256/<first two digits>/<sha256>``.

What lies there was decoded whole before it got its name, so a stored picture is a good picture.
"""

import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from daemon import failpoint
from daemon.durable import sync_file, sync_folder
from daemon.folders import make_below
from daemon.intake.errors import BadPicture, Postponed
from daemon.intake.picture import check_picture
from daemon.intake.places import content_path
from daemon.intake.safeopen import open_picture, reason_of
from daemon.words.recorded import recorded
from ledger.task import InputFile

MAX_PICTURE_BYTES = 256 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024


class PictureStore:
    """Keeps copies of pictures under their sha256; the same bytes are kept once. Blocks.

    One thread at a time: decoding 100 megapixels takes some 400 MB.
    """

    def __init__(self, root: Path, *, max_picture_megapixels: float) -> None:
        self._root = root
        self._max_megapixels = max_picture_megapixels
        self._cleared = False

    def path_of(self, sha256: str) -> Path:
        """Return where the content lies, or would lie; raises ValueError for no sha256."""
        return content_path(self._root, sha256)

    def keep(self, named: str, root: Path, allow: Sequence[Path] = ()) -> InputFile:
        """Copy the picture *named* by a job file in *root* into the store, synced and proven.

        The copy is checked, not the original: what was checked is what is kept. Raises BadPicture
        with the reason, Postponed when our own disk will not take it. A crash leaves at most a
        file in ``incoming/``, which the next process removes.
        """
        if not self._cleared:
            self._clear_incoming()
            self._cleared = True
        return self._keep(named, root, allow)

    def _clear_incoming(self) -> None:
        incoming = self._root / "incoming"
        for path in incoming.iterdir() if incoming.is_dir() else ():
            path.unlink(missing_ok=True)

    def _keep(self, named: str, root: Path, allow: Sequence[Path]) -> InputFile:
        source = open_picture(named, root, allow)
        try:
            copy = self._new_copy()
            try:
                sha256, size_bytes = self._copy(source, copy)
                self._settle(copy, sha256, size_bytes)
            finally:
                copy.unlink(missing_ok=True)
        except OSError as error:
            raise Postponed(recorded("not_stored", why=str(error))) from error
        finally:
            os.close(source)
        name = PurePosixPath(named.replace("\\", "/")).name
        return InputFile(name=name, sha256=sha256, size_bytes=size_bytes)

    def _new_copy(self) -> Path:
        incoming = self._root / "incoming"
        if not incoming.is_dir():
            self._root.mkdir(exist_ok=True)  # not what it lies in: that was there at the start
            incoming.mkdir(exist_ok=True)
        return incoming / secrets.token_hex(12)

    def _copy(self, source: int, copy: Path) -> tuple[str, int]:
        digest, size_bytes = hashlib.sha256(), 0
        with copy.open("xb") as target:
            while chunk := _read(source):
                size_bytes += len(chunk)
                if size_bytes > MAX_PICTURE_BYTES:
                    raise BadPicture("picture_too_big", limit=str(MAX_PICTURE_BYTES // 1024**2))
                digest.update(chunk)
                target.write(chunk)
        if not size_bytes:
            raise BadPicture("picture_empty")
        return digest.hexdigest(), size_bytes

    def _settle(self, copy: Path, sha256: str, size_bytes: int) -> None:
        """Give the copy its name, or find that the store has it."""
        final = self.path_of(sha256)
        try:
            if final.stat().st_size == size_bytes:
                os.utime(final)  # retention spares what was wanted again just now
                return
        except FileNotFoundError:
            pass
        check_picture(copy, self._max_megapixels)
        sync_file(copy)
        failpoint.reach("intake.picture_checked")
        if not final.parent.is_dir():
            make_below(self._root, final.parent)
            sync_folder(final.parent.parent)
            sync_folder(self._root)
        copy.replace(final)
        sync_folder(final.parent)
        failpoint.reach("intake.picture_kept")


def _read(source: int) -> bytes:
    try:
        return os.read(source, _CHUNK_BYTES)
    except OSError as error:
        raise BadPicture.because(reason_of(error)) from error
