"""The store of input pictures as the daemon shares it: one picture at a time, in a thread."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from daemon.intake.picture_store import PictureStore
from ledger.task import InputFile


class ContentStore:
    """A ``PictureStore`` that never holds the loop."""

    def __init__(self, root: Path, *, max_picture_megapixels: float) -> None:
        self._store = PictureStore(root, max_picture_megapixels=max_picture_megapixels)
        # not a lock of threads: whoever waited for it would keep one of the loop's few from others
        self._one_at_a_time = asyncio.Lock()

    def path_of(self, sha256: str) -> Path:
        """Return where the content lies, or would lie; raises ValueError for no sha256."""
        return self._store.path_of(sha256)

    async def keep(self, named: str, root: Path, allow: Sequence[Path] = ()) -> InputFile:
        """Keep the picture *named* by a job file in *root*; see ``PictureStore.keep``."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._store.keep, named, root, allow)
