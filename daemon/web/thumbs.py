"""Small pictures of pictures and videos. Blocks; holds one decoded picture in memory at a time.

Nothing is decoded before its size is known: a decompression bomb is turned away by its header.
"""

import io
from pathlib import Path

from PIL import Image, ImageOps

from daemon.collect.file_type import FileType, seen_type

#: The longer side. Twice what lists show, for screens of double density.
SIDE_PIXELS = 320
#: Bigger pictures have no small one: decoding takes 4 bytes a pixel.
MAX_PIXELS = 64_000_000
#: Bytes per call into a decoder, which holds the interpreter's lock meanwhile.
DECODER_BLOCK_BYTES = 16_384
_QUALITY = 78
_PICTURES = {
    FileType.PNG,
    FileType.JPEG,
    FileType.WEBP,
    FileType.GIF,
    FileType.BMP,
    FileType.TIFF,
    FileType.AVIF,
}
VIDEOS = {FileType.MP4, FileType.MATROSKA, FileType.AVI}


class NoThumb(Exception):
    """There is no small picture of this file; the text says why."""


def make_thumb(path: Path) -> bytes:
    """Return a small WebP of the picture, or of the video's first frame; raises NoThumb, OSError.

    Videos need PyAV (the ``demo`` extra).
    """
    with path.open("rb") as file:
        kind = seen_type(file.read(32))
    if kind in _PICTURES:
        return _of_picture(path, kind)
    if kind in VIDEOS:
        return _of_video(path)
    raise NoThumb("neither picture nor video")


def _of_picture(path: Path, kind: FileType) -> bytes:
    try:
        with Image.open(path, formats=[kind.value.upper()]) as picture:
            _refuse_too_large(*picture.size)
            picture.draft("RGB", (2 * SIDE_PIXELS, 2 * SIDE_PIXELS))
            picture.decodermaxblock = DECODER_BLOCK_BYTES
            picture.load()
            return _small(ImageOps.exif_transpose(picture))
    except (NoThumb, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise whatever the bytes lead them to
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise NoThumb(f"it cannot be decoded ({error})") from error


def _of_video(path: Path) -> bytes:
    try:
        import av  # noqa: PLC0415 - an extra; and slow to import
    except ImportError as error:
        raise NoThumb("PyAV is not installed") from error
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            _refuse_too_large(stream.width, stream.height)
            stream.thread_count = 1
            frame = next(container.decode(stream))
            return _small(frame.to_image())  # type: ignore[no-untyped-call]
    except (av.FFmpegError, IndexError, StopIteration, ValueError) as error:
        raise NoThumb(f"it has no frame that can be decoded ({error})") from error


def _refuse_too_large(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise NoThumb(f"{width} x {height} pixels are too many")


def _small(picture: Image.Image) -> bytes:
    if picture.mode not in ("RGB", "RGBA"):
        has_alpha = "A" in picture.mode or "transparency" in picture.info
        picture = picture.convert("RGBA" if has_alpha else "RGB")
    picture.thumbnail((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.BILINEAR, reducing_gap=2.0)
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=_QUALITY, method=2)
    return out.getvalue()
