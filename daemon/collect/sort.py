"""What sort of file a result is, by its name and by its first bytes (pure)."""

from enum import StrEnum
from pathlib import PurePath


class Sort(StrEnum):
    """Sorts of files that can be proven; pictures bear the names of Pillow's plugins."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    GIF = "gif"
    BMP = "bmp"
    TIFF = "tiff"
    AVIF = "avif"
    MP4 = "mp4"
    MATROSKA = "matroska"
    AVI = "avi"
    WAV = "wav"
    FLAC = "flac"
    MP3 = "mp3"
    OGG = "ogg"
    GLB = "glb"
    SVG = "svg"


_BY_EXTENSION: dict[str, Sort] = {
    ".png": Sort.PNG,
    ".apng": Sort.PNG,
    ".jpg": Sort.JPEG,
    ".jpeg": Sort.JPEG,
    ".webp": Sort.WEBP,
    ".gif": Sort.GIF,
    ".bmp": Sort.BMP,
    ".tif": Sort.TIFF,
    ".tiff": Sort.TIFF,
    ".avif": Sort.AVIF,
    ".mp4": Sort.MP4,
    ".m4v": Sort.MP4,
    ".m4a": Sort.MP4,
    ".mov": Sort.MP4,
    ".webm": Sort.MATROSKA,
    ".mkv": Sort.MATROSKA,
    ".avi": Sort.AVI,
    ".wav": Sort.WAV,
    ".flac": Sort.FLAC,
    ".mp3": Sort.MP3,
    ".ogg": Sort.OGG,
    ".opus": Sort.OGG,
    ".glb": Sort.GLB,
    ".svg": Sort.SVG,
}
_BEGINNINGS: tuple[tuple[bytes, Sort], ...] = (
    (b"\x89PNG\r\n\x1a\n", Sort.PNG),
    (b"\xff\xd8\xff", Sort.JPEG),
    (b"GIF87a", Sort.GIF),
    (b"GIF89a", Sort.GIF),
    (b"BM", Sort.BMP),
    (b"II*\0", Sort.TIFF),
    (b"MM\0*", Sort.TIFF),
    (b"\x1aE\xdf\xa3", Sort.MATROSKA),
    (b"fLaC", Sort.FLAC),
    (b"ID3", Sort.MP3),
    (b"OggS", Sort.OGG),
    (b"glTF", Sort.GLB),
    (b"<svg", Sort.SVG),
    (b"<?xml", Sort.SVG),
)
_RIFF_FORMS: dict[bytes, Sort] = {b"WEBP": Sort.WEBP, b"WAVE": Sort.WAV, b"AVI ": Sort.AVI}
_MP4_BEGINNINGS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MP3_FRAME = 0xFFE0


def expected_sort(name: str) -> Sort | None:
    """Return the sort that the name's extension promises, or None for an unknown one."""
    return _BY_EXTENSION.get(PurePath(name).suffix.lower())


def seen_sort(head: bytes) -> Sort | None:
    """Return the sort that the first 32 bytes show, or None."""
    for beginning, sort in _BEGINNINGS:
        if head.startswith(beginning):
            return sort
    if head.startswith(b"RIFF"):
        return _RIFF_FORMS.get(head[8:12])
    if head[4:8] in _MP4_BEGINNINGS:
        return Sort.AVIF if head[8:12] in (b"avif", b"avis") else Sort.MP4
    if len(head) > 1 and int.from_bytes(head[:2], "big") & _MP3_FRAME == _MP3_FRAME:
        return Sort.MP3
    return None
