"""Proves that a fetched file is what it should be, and puts it in its place; all of it blocks."""

import contextlib
import filecmp
import io
import os
from pathlib import Path
from typing import BinaryIO

import structlog
from PIL import Image

from daemon import failpoint
from daemon.collect import containers, png
from daemon.collect.file_type import FileType, expected_type, seen_type
from daemon.collect.part import discard_note
from daemon.durable import sync_folder
from daemon.words.recorded import recorded

log = structlog.get_logger()

#: Bigger pictures are checked in their structure only: decoding takes 4 bytes a pixel.
MAX_DECODED_PIXELS = 300_000_000
#: Bytes per call into a decoder, which holds the interpreter's lock meanwhile.
DECODER_BLOCK_BYTES = 16_384


class BadOutput(Exception):
    """A result is empty, cut off, or not what its name says; the text says which and why."""


def prove(path: Path, content: bytes | None = None) -> str:
    """Return what the file is once that was proven; raises BadOutput.

    Pictures are decoded to their last pixel and frame, videos are walked through box by box.
    Of a kind that nobody knows only that it is not empty is proven, and the log says so.
    A ``.part`` at the end of the name is not looked at. *content* is what was just written there,
    where that is still in memory.
    """
    name = path.name.removesuffix(".part")
    with path.open("rb") if content is None else io.BytesIO(content) as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size_bytes == 0:
            raise BadOutput(recorded("empty", file=name))
        head = file.read(32)
        expected, seen = expected_type(name), seen_type(head)
        if seen is None and expected is not None:
            values = {"file": name, "type": expected.value, "beginning": repr(head[:8])}
            raise BadOutput(recorded("other_type", **values))
        if seen is None:
            log.warning("output.unproven", file=name, size_bytes=size_bytes)
            return f"{size_bytes} bytes of an unknown kind, not looked into"
        try:
            return _look_into(file, size_bytes, seen)
        except containers.Broken as error:
            raise BadOutput(recorded("broken", file=name, why=error)) from error


def _look_into(file: BinaryIO, size_bytes: int, kind: FileType) -> str:
    """Return what is in a file of this type; raises Broken."""
    match kind:
        case FileType.MP4:
            return containers.check_mp4(file, size_bytes)
        case FileType.MATROSKA:
            return containers.check_matroska(file, size_bytes)
        case FileType.WAV | FileType.AVI:
            return containers.check_riff(file, size_bytes)
        case FileType.GLB:
            return containers.check_glb(file, size_bytes)
        case FileType.FLAC | FileType.MP3 | FileType.OGG | FileType.SVG:
            return f"{kind.value}, {size_bytes} bytes"
        case FileType.PNG:
            with contextlib.suppress(png.Doubtful):
                width, height = png.size_of_whole(file)
                return _told(kind, width, height, frames=1)
        case FileType.GIF:
            containers.check_gif_end(file, size_bytes)
        case FileType.WEBP:
            containers.check_riff(file, size_bytes)
    return _decode(file, kind)


def _decode(file: BinaryIO, kind: FileType) -> str:
    """Return the picture's size once every pixel of every frame was decoded; raises Broken.

    The plugin is called directly: ``Image.open`` would refuse big results as decompression bombs,
    by a limit that belongs to the whole process.
    """
    Image.init()
    factory, _ = Image.OPEN[kind.value.upper()]
    file.seek(0)
    try:
        with factory(file, "") as picture:
            width, height = picture.size
            if width * height > MAX_DECODED_PIXELS:
                picture.verify()
                return f"{kind.value}, {width} x {height}, too big to be decoded"
            picture.decodermaxblock = DECODER_BLOCK_BYTES
            frames = getattr(picture, "n_frames", 1)
            for frame in range(frames):
                picture.seek(frame)
                picture.load()
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise whatever the bytes lead them to
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault, not the file's
        raise containers.Broken(recorded("not_decoded", said=error)) from error
    return _told(kind, width, height, frames)


def _told(kind: FileType, width: int, height: int, frames: int) -> str:
    return f"{kind.value}, {width} x {height}, {frames} frame(s)"


def place(part: Path, final: Path, *, noted: bool = True) -> None:
    """Give the synced *part* its final name, durably; a crash leaves one of the two.

    Never over another file: raises FileExistsError, unless *final* holds the same bytes (then an
    earlier attempt came this far, and *part* is removed). *noted* False: it surely has no note.
    """
    failpoint.reach("download.before_rename")
    if os.path.lexists(final):
        if not final.exists() or not filecmp.cmp(part, final, shallow=False):
            raise FileExistsError(recorded("other_file_there", path=final))
        part.unlink()
    else:
        part.rename(final)
    failpoint.reach("download.after_rename")
    if noted:
        discard_note(part)
    sync_folder(final.parent)
