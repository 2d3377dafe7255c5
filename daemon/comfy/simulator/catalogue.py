"""Which node classes each generation has; only core nodes that need no model files."""

from daemon.comfy.server import Json
from daemon.comfy.simulator import images, saving
from daemon.comfy.simulator.generation import Generation
from daemon.comfy.simulator.nodetypes import Field, NodeType, NodeTypes

_IMAGE = Field(kind="IMAGE")
_VIDEO_TOOLTIP = "The video to save."


def node_types(generation: Generation) -> NodeTypes:
    """Return the node classes of *generation* by name."""
    new = generation.modern
    every = [
        *_sources(new=new),
        *_changes(new=new),
        *_compositions(new=new),
        *_sequences(new=new),
        *_savers(new=new),
    ]
    return {node_type.name: node_type for node_type in every}


def _sources(*, new: bool) -> list[NodeType]:
    return [
        NodeType(
            name="LoadImage",
            title="Load Image",
            work=images.load_image,
            # The choices are the input folder's files, filled in when somebody asks.
            fields={"image": Field(kind="COMBO", choices=(), options={"image_upload": True})},
            outputs=("IMAGE", "MASK"),
            essentials="Basics",
        ),
        NodeType(
            name="EmptyImage",
            title="Empty Image" if new else "EmptyImage",
            work=images.empty_image,
            fields={
                "width": _whole(512, 1, 16384, step=1),
                "height": _whole(512, 1, 16384, step=1),
                "batch_size": _whole(1, 1, 4096),
                "color": _whole(0, 0, 0xFFFFFF, step=1, display="color"),
            },
            outputs=("IMAGE",),
        ),
    ]


def _changes(*, new: bool) -> list[NodeType]:
    return [
        NodeType(
            name="ImageScale",
            title="Upscale Image",
            work=images.image_scale,
            fields={
                "image": _IMAGE,
                "upscale_method": _choice(
                    "nearest-exact", "bilinear", "area", "bicubic", "lanczos"
                ),
                "width": _whole(512, 0, 16384, step=1),
                "height": _whole(512, 0, 16384, step=1),
                "crop": _choice("disabled", "center"),
            },
            outputs=("IMAGE",),
            category="image/upscaling",
            essentials="Image Tools",
        ),
        NodeType(
            name="ImageAddNoise",
            title="ImageAddNoise",
            work=images.image_add_noise,
            fields={
                "image": _IMAGE,
                "seed": _whole(0, 0, 0xFFFFFFFFFFFFFFFF, control_after_generate=True),
                "strength": _real(0.5, 0.0, 1.0, 0.01),
            },
            outputs=("IMAGE",),
            module="comfy_extras.nodes_images",
            new_schema=new,
        ),
    ]


def _compositions(*, new: bool) -> list[NodeType]:
    return [
        NodeType(
            name="ImageBlend",
            title="Blend Images" if new else None,
            work=images.image_blend,
            fields={
                "image1": _IMAGE,
                "image2": _IMAGE,
                "blend_factor": _real(0.5, 0.0, 1.0, 0.01),
                "blend_mode": _choice(
                    "normal", "multiply", "screen", "overlay", "soft_light", "difference"
                ),
            },
            outputs=("IMAGE",),
            category="image/filters" if new else "image/postprocessing",
            module="comfy_extras.nodes_post_processing",
            new_schema=True,
            essentials="Image Tools",
        ),
        NodeType(
            name="ImageCompositeMasked",
            title="ImageCompositeMasked",
            work=images.image_composite_masked,
            fields={
                "destination": _IMAGE,
                "source": _IMAGE,
                "x": _whole(0, 0, 16384, step=1),
                "y": _whole(0, 0, 16384, step=1),
                "resize_source": Field(kind="BOOLEAN", options={"default": False}),
                "mask": Field(kind="MASK", optional=True),
            },
            outputs=("IMAGE",),
            module="comfy_extras.nodes_mask",
            new_schema=new,
        ),
    ]


def _sequences(*, new: bool) -> list[NodeType]:
    return [
        NodeType(
            name="RepeatImageBatch",
            title="RepeatImageBatch",
            work=images.repeat_image_batch,
            fields={"image": _IMAGE, "amount": _whole(1, 1, 4096)},
            outputs=("IMAGE",),
            category="image/batch",
            module="comfy_extras.nodes_images",
            new_schema=new,
        ),
        NodeType(
            name="CreateVideo",
            title="Create Video",
            work=saving.create_video,
            fields=_create_video_fields(new=new),
            outputs=("VIDEO",),
            category="video" if new else "image/video",
            module="comfy_extras.nodes_video",
            new_schema=True,
            essentials="Video Tools",
        ),
    ]


def _savers(*, new: bool) -> list[NodeType]:
    return [
        NodeType(
            name="SaveImage",
            title="Save Image",
            work=saving.save_image,
            fields={
                "images": Field(kind="IMAGE", options={"tooltip": "The images to save."}),
                "filename_prefix": _prefix("ComfyUI"),
            },
            outputs=("IMAGE",) if new else (),
            output_names=("images",) if new else None,
            description="Saves the input images to your ComfyUI output directory.",
            saves=True,
            essentials="Basics",
        ),
        NodeType(
            name="SaveAnimatedWEBP",
            title="SaveAnimatedWEBP",
            work=saving.save_animated_webp,
            fields={
                "images": _IMAGE,
                "filename_prefix": Field(kind="STRING", options={"default": "ComfyUI"}),
                "fps": _real(6.0, 0.01, 1000.0, 0.01),
                "lossless": Field(kind="BOOLEAN", options={"default": True}),
                "quality": _whole(80, 0, 100),
                "method": _choice("default", "fastest", "slowest"),
            },
            outputs=(),
            category="image/animation",
            module="comfy_extras.nodes_images",
            new_schema=new,
            saves=True,
        ),
        NodeType(
            name="SaveVideo",
            title="Save Video",
            work=saving.save_video,
            fields=_save_video_fields(new=new),
            outputs=("VIDEO",) if new else (),
            output_names=("video",) if new else None,
            tooltips=("The input video, unchanged.",) if new else None,
            category="video" if new else "image/video",
            module="comfy_extras.nodes_video",
            description="Saves the input videos to your ComfyUI output directory.",
            saves=True,
            new_schema=True,
            essentials="Basics",
        ),
    ]


def _create_video_fields(*, new: bool) -> dict[str, Field]:
    fields = {
        "images": Field(kind="IMAGE", options={"tooltip": "The images to create a video from."}),
        "fps": _real(30.0, 1.0, 120.0, 1.0),
        "audio": Field(kind="AUDIO", options={"tooltip": "The audio to add."}, optional=True),
    }
    if new:
        depth = {"tooltip": "Bit depth of the video.", "display": "number"}
        limits = {"default": 8, "min": 8, "max": 10, "step": 2}
        fields["bit_depth"] = Field(kind="INT", options={**depth, **limits}, optional=True)
    return fields


def _save_video_fields(*, new: bool) -> dict[str, Field]:
    """Return SaveVideo's inputs; the new generation nests the codec in the format's choice."""
    video = Field(kind="VIDEO", options={"tooltip": _VIDEO_TOOLTIP})
    prefix = _prefix("video/ComfyUI", multiline=False)
    if not new:
        about = {"tooltip": "The format to save the video as.", "default": "auto"}
        return {
            "video": video,
            "filename_prefix": prefix,
            "format": Field(kind="COMBO", options={**about}, choices=("auto", "mp4")),
            "codec": Field(kind="COMBO", options={**about}, choices=("auto", "h264")),
        }
    kind = "COMFY_DYNAMICCOMBO_V3"
    codecs = [_key("auto"), _key("h264")]
    codec = _dynamic("The output video codec.", *codecs)
    containers = [_key(key, codec=[kind, codec]) for key in ("auto", "mp4")]
    return {
        "video": video,
        "filename_prefix": prefix,
        "format": Field(kind=kind, options=_dynamic("The output container.", *containers)),
        "codec": Field(kind=kind, options={**codec, "hidden": True}, optional=True),
    }


def _dynamic(tooltip: str, *keys: Json) -> dict[str, Json]:
    return {"tooltip": tooltip, "options": [*keys]}


def _key(name: str, **required: Json) -> Json:
    return {"key": name, "inputs": {"required": required}}


def _choice(*choices: str) -> Field:
    return Field(kind="COMBO", choices=choices)


def _prefix(default: str, **more: bool) -> Field:
    tooltip = "The prefix for the file to save."
    return Field(kind="STRING", options={"default": default, "tooltip": tooltip, **more})


def _real(default: float, minimum: float, maximum: float, step: float) -> Field:
    limits = {"default": default, "min": minimum, "max": maximum, "step": step}
    return Field(kind="FLOAT", options={**limits})


def _whole(default: int, minimum: int, maximum: int, **more: int | str | bool) -> Field:
    return Field(kind="INT", options={"default": default, "min": minimum, "max": maximum, **more})
