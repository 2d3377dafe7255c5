"""MP4 with PyAV, the only module that needs it; imported late, since ``av`` is an extra."""

import io
from fractions import Fraction

from daemon.comfy.simulator.values import Video


class NoVideoCodec(Exception):
    """PyAV is not installed: pip install -e '.[demo]'."""


def mp4(clip: Video) -> bytes:
    """Return *clip* as an H.264 MP4 file; raises NoVideoCodec when PyAV is missing."""
    try:
        import av  # noqa: PLC0415 - an extra; servers without video nodes in use do without it
    except ImportError as missing:
        raise NoVideoCodec("SaveVideo needs PyAV: pip install -e '.[demo]'") from missing
    rate = Fraction(clip.frames_per_second).limit_denominator(1000)
    width, height = clip.frames[0].size  # odd sides fail in the encoder, as in ComfyUI
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        stream.thread_count = 1
        converted: dict[int, av.VideoFrame] = {}  # a repeated picture is converted once
        for position, picture in enumerate(clip.frames):
            frame = converted.get(id(picture))
            if frame is None:
                plain = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call] # PyAV
                frame = plain.reformat(width, height, format="yuv420p")
                converted[id(picture)] = frame
            frame.pts = position
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return content.getvalue()
