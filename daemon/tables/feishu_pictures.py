"""Pictures as a cell of a spreadsheet takes them: of a known format and not too large. Blocks."""

import io
from pathlib import Path

from PIL import Image

from daemon.feishu.sheets import IMAGE_BYTES

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tiff", ".tif", ".webp"})
_TAKEN = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tiff"})
_QUALITIES = (92, 80, 60)

#: So many pictures are remembered; one that is forgotten may be put a second time.
_REMEMBERED = 1000


class PutPictures:
    """The pictures that this process put into cells, by row and content."""

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str], str] = {}

    def note(self, key: str, sha256: str, token: str) -> None:
        """Remember the token that a picture has in the cell of row *key*."""
        self._tokens[key, sha256] = token
        if len(self._tokens) > _REMEMBERED:
            del self._tokens[next(iter(self._tokens))]

    def token(self, key: str, sha256: str) -> str | None:
        """Return the token that was noted, None for none."""
        return self._tokens.get((key, sha256))


def is_picture(path: Path) -> bool:
    """Say whether a result is a picture, by its name."""
    return path.suffix.lower() in PICTURES


def for_cell(path: Path) -> tuple[bytes, str]:
    """Return the picture's bytes and suffix for a cell; raises OSError for what is no picture.

    WEBP, which no cell takes, becomes PNG; what is larger than a cell takes becomes JPEG.
    """
    content, suffix = path.read_bytes(), path.suffix.lower()
    if suffix in _TAKEN and len(content) <= IMAGE_BYTES:
        return content, suffix
    with Image.open(io.BytesIO(content)) as picture:
        content, suffix = _saved(picture, "PNG"), ".png"
        for quality in _QUALITIES:
            if len(content) <= IMAGE_BYTES:
                break
            content, suffix = _saved(picture.convert("RGB"), "JPEG", quality=quality), ".jpg"
    return content, suffix


def _saved(picture: Image.Image, kind: str, **options: int) -> bytes:
    saved = io.BytesIO()
    picture.save(saved, kind, **options)
    return saved.getvalue()
