"""The nodes that write files: PNG and animated WEBP with Pillow, MP4 through ``video``."""

import io
from collections.abc import Mapping
from pathlib import Path

import orjson
from PIL.PngImagePlugin import PngInfo

from daemon.comfy.server import Json
from daemon.comfy.simulator import video
from daemon.comfy.simulator.folders import next_free_name
from daemon.comfy.simulator.images import number, pictures, text, whole
from daemon.comfy.simulator.values import Bench, Result, Value, Video

#: The real server uses 4; 1 costs a third of the time and only makes files larger.
_PNG_COMPRESSION = 1
_WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}


def save_image(bench: Bench, given: Mapping[str, Value]) -> Result:
    """Write ``<prefix>_00001_.png`` for each picture, with the graph inside."""
    output = bench.folder / "output"
    folder, base, counter = next_free_name(output, text(given["filename_prefix"]))
    about = PngInfo()
    about.add_text("prompt", orjson.dumps(bench.graph).decode())
    files: list[Json] = []
    for position, picture in enumerate(pictures(given["images"])):
        content = io.BytesIO()
        picture.save(content, "PNG", pnginfo=about, compress_level=_PNG_COMPRESSION)
        name = f"{base.replace('%batch_num%', str(position))}_{counter + position:05}_.png"
        bench.write(folder / name, content.getvalue())
        files.append(_entry(output, folder / name))
    return Result((given["images"],), {"images": files})


def save_animated_webp(bench: Bench, given: Mapping[str, Value]) -> Result:
    """Write all pictures as one animation."""
    output = bench.folder / "output"
    folder, base, counter = next_free_name(output, text(given["filename_prefix"]))
    first, *rest = pictures(given["images"])
    content = io.BytesIO()
    first.save(
        content,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=int(1000 / number(given["fps"])),
        lossless=bool(given["lossless"]),
        quality=whole(given["quality"]),
        method=_WEBP_METHODS[text(given["method"])],
    )
    path = folder / f"{base}_{counter:05}_.webp"
    bench.write(path, content.getvalue())
    return Result((), {"images": [_entry(output, path)], "animated": [True]})


def create_video(_bench: Bench, given: Mapping[str, Value]) -> Result:
    """Put pictures and a speed together; nothing is encoded yet."""
    return Result((Video(pictures(given["images"]), number(given["fps"])),))


def save_video(bench: Bench, given: Mapping[str, Value]) -> Result:
    """Write an H.264 MP4; listed under ``images``, as the real server does."""
    clip = given["video"]
    if not isinstance(clip, Video):
        raise TypeError(f"expected a video, not {clip!r}")
    if given.get("codec", "auto") not in ("auto", "h264"):  # the older generation lets it through
        raise ValueError("Only H264 codec is supported for now")
    output = bench.folder / "output"
    folder, base, counter = next_free_name(output, text(given["filename_prefix"]))
    path = folder / f"{base}_{counter:05}_.mp4"
    bench.write(path, video.mp4(clip))
    return Result((clip,), {"images": [_entry(output, path)], "animated": [True]})


def _entry(output: Path, path: Path) -> Json:
    inside = path.relative_to(output)
    subfolder = "" if inside.parent == Path() else inside.parent.as_posix()
    return {"filename": inside.name, "subfolder": subfolder, "type": "output"}
