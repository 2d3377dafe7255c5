"""What type of file a result is, by its name and by its first bytes (pure)."""

from enum import StrEnum
from pathlib import PurePath


class FileType(StrEnum):
    """Types of files that can be proven; pictures bear the names of Pillow's plugins."""

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


_BY_EXTENSION: dict[str, FileType] = {
    ".png": FileType.PNG,
    ".apng": FileType.PNG,
    ".jpg": FileType.JPEG,
    ".jpeg": FileType.JPEG,
    ".webp": FileType.WEBP,
    ".gif": FileType.GIF,
    ".bmp": FileType.BMP,
    ".tif": FileType.TIFF,
    ".tiff": FileType.TIFF,
    ".avif": FileType.AVIF,
    ".mp4": FileType.MP4,
    ".m4v": FileType.MP4,
    ".m4a": FileType.MP4,
    ".mov": FileType.MP4,
    ".webm": FileType.MATROSKA,
    ".mkv": FileType.MATROSKA,
    ".avi": FileType.AVI,
    ".wav": FileType.WAV,
    ".flac": FileType.FLAC,
    ".mp3": FileType.MP3,
    ".ogg": FileType.OGG,
    ".opus": FileType.OGG,
    ".glb": FileType.GLB,
    ".svg": FileType.SVG,
}
_BEGINNINGS: tuple[tuple[bytes, FileType], ...] = (
    (b"\x89PNG\r\n\x1a\n", FileType.PNG),
    (b"\xff\xd8\xff", FileType.JPEG),
    (b"GIF87a", FileType.GIF),
    (b"GIF89a", FileType.GIF),
    (b"BM", FileType.BMP),
    (b"II*\0", FileType.TIFF),
    (b"MM\0*", FileType.TIFF),
    (b"\x1aE\xdf\xa3", FileType.MATROSKA),
    (b"fLaC", FileType.FLAC),
    (b"ID3", FileType.MP3),
    (b"OggS", FileType.OGG),
    (b"glTF", FileType.GLB),
    (b"<svg", FileType.SVG),
    (b"<?xml", FileType.SVG),
)
_RIFF_FORMS: dict[bytes, FileType] = {
    b"WEBP": FileType.WEBP,
    b"WAVE": FileType.WAV,
    b"AVI ": FileType.AVI,
}
_MP4_BEGINNINGS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MP3_FRAME = 0xFFE0


def expected_type(name: str) -> FileType | None:
    """Return the type that the name's extension promises, or None for an unknown one."""
    return _BY_EXTENSION.get(PurePath(name).suffix.lower())


def seen_type(head: bytes) -> FileType | None:
    """Return the type that the first 32 bytes show, or None."""
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head.startswith(b"RIFF"):
        return _RIFF_FORMS.get(head[8:12])
    if head[4:8] in _MP4_BEGINNINGS:
        return FileType.AVIF if head[8:12] in (b"avif", b"avis") else FileType.MP4
    if len(head) > 1 and int.from_bytes(head[:2], "big") & _MP3_FRAME == _MP3_FRAME:
        return FileType.MP3
    return None
