"""Where a picture of the content store lies; all that a command without a daemon needs of it."""

import re
from pathlib import Path

_SHA256 = re.compile(r"[0-9a-f]{64}")


def content_path(root: Path, sha256: str) -> Path:
    """Return where the content lies below *root*, or would lie; raises ValueError for no sha256."""
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a sha256: {sha256!r}")
    return root / "sha256" / sha256[:2] / sha256
