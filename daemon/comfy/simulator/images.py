"""The picture nodes, on Pillow. Run in the worker thread; a raised exception fails the prompt."""

import random
from collections.abc import Callable, Iterator, Mapping

from PIL import Image, ImageChops, ImageFile, ImageOps, ImageSequence

from daemon.comfy.simulator.folders import input_path
from daemon.comfy.simulator.values import Bench, Pictures, Result, Value

_FILTERS = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_BLENDS: dict[str, Callable[[Image.Image, Image.Image], Image.Image]] = {
    "normal": lambda _, second: second,
    "multiply": ImageChops.multiply,
    "screen": ImageChops.screen,
    "overlay": ImageChops.overlay,
    "soft_light": ImageChops.soft_light,
    "difference": ImageChops.subtract,
}


def load_image(bench: Bench, given: Mapping[str, Value]) -> Result:
    """Read every frame of an input picture, upright, with its transparency as the mask."""
    frames: list[Image.Image] = []
    masks: list[Image.Image] = []
    with Image.open(input_path(bench.folder, text(given["image"]))) as picture:
        for page in ImageSequence.Iterator(picture):
            _load_what_is_there(picture)
            frame = ImageOps.exif_transpose(page)
            if frames and frame.size != frames[0].size:
                continue
            frames.append(frame.convert("RGB"))
            masks.append(_mask(frame))
    return Result((tuple(frames), tuple(masks)))


def _load_what_is_there(picture: ImageFile.ImageFile) -> None:
    """Decode as far as the bytes go: ComfyUI takes a picture whose end is missing, unlike a header.

    Pillow's own switch for this is global; thrown here it would blind every other check of pictures
    in this process.
    """
    try:
        picture.load()
    except OSError:
        picture.tile = []  # nothing more to decode: what was decoded so far is the picture


def _mask(frame: Image.Image) -> Image.Image:
    """Return white where *frame* is transparent; a small black one when it is nowhere."""
    if frame.has_transparency_data:
        return ImageChops.invert(frame.convert("RGBA").getchannel("A"))
    return Image.new("L", (64, 64))


def empty_image(_bench: Bench, given: Mapping[str, Value]) -> Result:
    """Make pictures of one colour."""
    number = whole(given["color"])
    color = (number >> 16 & 255, number >> 8 & 255, number & 255)
    picture = Image.new("RGB", (whole(given["width"]), whole(given["height"])), color)
    return Result(((picture,) * whole(given["batch_size"]),))


def image_scale(_bench: Bench, given: Mapping[str, Value]) -> Result:
    """Scale to width and height; a zero keeps the ratio, ``center`` cuts instead of stretching."""
    images = pictures(given["image"])
    width, height = whole(given["width"]), whole(given["height"])
    if width == 0 and height == 0:
        return Result((images,))
    old_width, old_height = images[0].size
    width = width or max(1, round(old_width * height / old_height))
    height = height or max(1, round(old_height * width / old_width))
    method = _FILTERS[text(given["upscale_method"])]
    if given["crop"] == "center":
        return Result((_each(images, lambda i: ImageOps.fit(i, (width, height), method)),))
    return Result((_each(images, lambda i: i.resize((width, height), method)),))


def image_blend(_bench: Bench, given: Mapping[str, Value]) -> Result:
    """Mix two pictures in a blend mode; the second is fitted to the size of the first."""
    factor, blend = number(given["blend_factor"]), _BLENDS[text(given["blend_mode"])]
    mixed = []
    for first, second in _pairs(pictures(given["image1"]), pictures(given["image2"])):
        fitted = second
        if second.size != first.size:
            fitted = ImageOps.fit(second, first.size, Image.Resampling.BICUBIC)
        mixed.append(Image.blend(first, blend(first, fitted), factor))
    return Result((tuple(mixed),))


def image_composite_masked(_bench: Bench, given: Mapping[str, Value]) -> Result:
    """Paste the source at (x, y), through the mask when there is one."""
    corner = (whole(given["x"]), whole(given["y"]))
    masks = pictures(given["mask"]) if "mask" in given else None
    pasted = []
    pairs = _pairs(pictures(given["destination"]), pictures(given["source"]))
    for position, (below, above) in enumerate(pairs):
        source = above.resize(below.size) if given["resize_source"] else above
        mask = masks[position % len(masks)].resize(source.size) if masks else None
        result = below.copy()
        result.paste(source, corner, mask)
        pasted.append(result)
    return Result((tuple(pasted),))


def image_add_noise(_bench: Bench, given: Mapping[str, Value]) -> Result:
    """Add noise that depends on nothing but the seed and the size."""
    source, strength = random.Random(whole(given["seed"])), number(given["strength"])

    def noisy(picture: Image.Image) -> Image.Image:
        width, height = picture.size
        noise = Image.frombytes("RGB", picture.size, source.randbytes(width * height * 3))
        shift = round(128 * strength)
        return ImageChops.add(picture, noise.point(lambda v: v * strength), offset=-shift)

    return Result((_each(pictures(given["image"]), noisy),))


def repeat_image_batch(_bench: Bench, given: Mapping[str, Value]) -> Result:
    """Repeat the batch."""
    return Result((pictures(given["image"]) * whole(given["amount"]),))


def pictures(value: Value) -> Pictures:
    """Return *value* as a batch of pictures; raises TypeError for anything else."""
    if not isinstance(value, tuple):
        raise TypeError(f"expected pictures, not {value!r}")
    return value


def text(value: Value) -> str:
    """Return *value* as text; raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"expected text, not {value!r}")
    return value


def whole(value: Value) -> int:
    """Return *value* as a whole number; raises TypeError for anything else."""
    if not isinstance(value, int):
        raise TypeError(f"expected a whole number, not {value!r}")
    return value


def number(value: Value) -> float:
    """Return *value* as a number; raises TypeError for anything else."""
    if not isinstance(value, int | float):
        raise TypeError(f"expected a number, not {value!r}")
    return float(value)


def _each(images: Pictures, change: Callable[[Image.Image], Image.Image]) -> Pictures:
    """Apply *change* once to each distinct picture; repeated ones stay shared."""
    changed = {id(image): change(image) for image in {id(i): i for i in images}.values()}
    return tuple(changed[id(image)] for image in images)


def _pairs(first: Pictures, second: Pictures) -> Iterator[tuple[Image.Image, Image.Image]]:
    for position, image in enumerate(first):
        yield image, second[position % len(second)]
