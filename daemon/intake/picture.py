"""Is this file a picture that a server can load? Decodes it whole to know."""

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from daemon.intake.errors import BadPicture

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")

# The limit is the setting's alone: Pillow's own would refuse pictures that the setting allows.
Image.MAX_IMAGE_PIXELS = None


def check_picture(path: Path, max_megapixels: float) -> None:
    """Return when the picture at *path* decodes to its last byte; raises BadPicture otherwise.

    Its size is read from the header first, so that a decompression bomb is never unpacked.
    Blocks for as long as decoding takes and holds the decoded picture in memory.
    """
    try:
        with Image.open(path, formats=FORMATS) as picture:
            _refuse_too_large(*picture.size, max_megapixels)
            if picture.format == "JPEG":
                picture.draft(None, (1, 1))  # reads every byte, unpacks 1/64
            picture.load()
    except BadPicture:
        raise
    except UnidentifiedImageError as error:
        raise BadPicture("no_picture", known="PNG, JPEG, WebP, GIF, BMP, TIFF") from error
    except Exception as error:
        # decoders answer damaged bytes with SyntaxError, struct.error, OverflowError, …
        reason = str(error).replace(str(path), "it")[:200]
        raise BadPicture("undecodable", said=reason or type(error).__name__) from error


def _refuse_too_large(width: int, height: int, max_megapixels: float) -> None:
    if width * height <= max_megapixels * 1e6:
        return
    raise BadPicture(
        "too_many_pixels",
        size=f"{width}x{height}",
        megapixels=f"{width * height / 1e6:.0f}",
        limit=f"{max_megapixels:g}",
    )
