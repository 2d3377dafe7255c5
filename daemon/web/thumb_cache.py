"""Small pictures on disk, by the sha256 of what they show; the ones unused for longest go first.

Losing any of it costs only the time to make it anew, so nothing here is synced.
"""

import asyncio
import contextlib
import os
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import structlog

from daemon.folders import make_below
from daemon.web.thumbs import NoThumb, make_thumb

log = structlog.get_logger()

THUMBS = "thumbs"
MAX_BYTES = 256 * 1024 * 1024
#: What a clean-up leaves, so that the next one is not due at once.
KEPT_SHARE = 0.8
#: Made at a time; each may hold a decoded picture of 256 MB.
MADE_AT_A_TIME = 2
#: Files remembered as having none.
HOPELESS_FILES = 2000
#: A use is noted, as the file's time, when the last note is so old.
NOTED_SECONDS = 3600.0
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ThumbCache:
    """Makes small pictures in threads and keeps them below *root*, at most ``max_bytes``.

    *root* is made when it is not there, but not what it lies in.
    """

    def __init__(
        self,
        root: Path,
        *,
        make: Callable[[Path], bytes] = make_thumb,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._root = root
        self._make = make
        self._max_bytes = max_bytes
        self._kept_bytes: int | None = None  # not counted yet
        self._making = asyncio.Semaphore(MADE_AT_A_TIME)
        self._hopeless: OrderedDict[str, str] = OrderedDict()  # sha256 -> why there is none

    async def thumb(self, sha256: str, source: Path) -> bytes:
        """Return the small picture of *source*, whose content has *sha256*.

        Raises NoThumb when there can be none, OSError when *source* or our disk fails.
        """
        if not _SHA256.fullmatch(sha256):
            raise NoThumb("its sha256 is not known")
        if (why := self._hopeless.get(sha256)) is not None:
            raise NoThumb(why)
        path = self._root / sha256[:2] / f"{sha256}.webp"
        kept = await asyncio.to_thread(_read, path)
        if kept is not None:
            return kept
        async with self._making:
            try:
                made = await asyncio.to_thread(self._make, source)
            except NoThumb as error:
                self._give_up(sha256, str(error))
                raise
            await asyncio.to_thread(self._keep, path, made)
        return made

    def _give_up(self, sha256: str, why: str) -> None:
        log.debug("thumb.impossible", sha256=sha256, why=why)
        self._hopeless[sha256] = why
        if len(self._hopeless) > HOPELESS_FILES:
            self._hopeless.popitem(last=False)

    def _keep(self, path: Path, made: bytes) -> None:
        """Write *made* whole or not at all; a full disk only means that it is made again."""
        part = path.with_name(f"{secrets.token_hex(8)}.part")
        try:
            make_below(self._root.parent, path.parent)
            part.write_bytes(made)
            part.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            log.warning("thumb.not_kept", error=str(error))
            return
        if self._kept_bytes is None:
            self._kept_bytes = sum(size for _, size, _ in self._kept())
        else:
            self._kept_bytes += len(made)
        if self._kept_bytes > self._max_bytes:
            self._clean_up()

    def _clean_up(self) -> None:
        files = sorted(self._kept())
        left_bytes = sum(size for _, size, _ in files)
        for _, size, path in files:
            if left_bytes <= KEPT_SHARE * self._max_bytes:
                break
            path.unlink(missing_ok=True)
            left_bytes -= size
        self._kept_bytes = left_bytes

    def _kept(self) -> list[tuple[float, int, Path]]:
        """Return last use, size and path of each file; what a crash left half is the oldest."""
        found = []
        for path in self._root.rglob("*"):
            try:
                status = path.stat()
            except OSError:  # another thread has just moved it
                continue
            if path.is_file():
                used_at = status.st_mtime if path.suffix == ".webp" else 0.0
                found.append((used_at, status.st_size, path))
        return found


def _read(path: Path) -> bytes | None:
    """Return a kept small picture and note its use."""
    try:
        content = path.read_bytes()
        if time.time() - path.stat().st_mtime > NOTED_SECONDS:
            os.utime(path)
    except OSError:
        return None
    return content
