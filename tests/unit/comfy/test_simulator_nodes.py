"""The simulator's nodes make real pictures and videos."""

import io
import sys

import aiohttp
import av
import pytest
from PIL import Image

from daemon.comfy.simulator import Simulator
from tests.fakes.comfy_user import User, node, plain_graph

RED, BLUE = 0xFF0000, 0x0000FF


@pytest.fixture
async def user(tmp_path):
    simulator = Simulator(tmp_path)
    async with simulator, aiohttp.ClientSession() as session:
        yield User(simulator.url, session)


def empty(color, width=8, height=8, amount=1):
    return node("EmptyImage", width=width, height=height, batch_size=amount, color=color)


def saved(prefix="out", source="5"):
    return {"9": node("SaveImage", images=[source, 0], filename_prefix=prefix)}


async def made(user, graph):
    entry = await user.make(graph)
    assert entry["status"]["status_str"] == "success", entry["status"]["messages"][-1]
    return await user.pictures(entry)


@pytest.mark.parametrize(
    ("mode", "factor", "pixel"),
    [
        ("normal", 0.5, (128, 0, 127)),
        ("normal", 0.0, (255, 0, 0)),
        ("multiply", 1.0, (0, 0, 0)),
        ("screen", 1.0, (255, 0, 255)),
        ("difference", 1.0, (255, 0, 0)),
    ],
)
async def test_blending_mixes_the_colours(user, mode, factor, pixel):
    blend = node(
        "ImageBlend", image1=["1", 0], image2=["2", 0], blend_factor=factor, blend_mode=mode
    )
    graph = {"1": empty(RED), "2": empty(BLUE, width=20), "5": blend} | saved()
    (picture,) = await made(user, graph)
    assert picture.size == (8, 8)
    assert all(abs(a - b) <= 1 for a, b in zip(picture.getpixel((3, 3)), pixel, strict=True))


@pytest.mark.parametrize(
    ("width", "height", "crop", "size"),
    [
        (30, 10, "disabled", (30, 10)),
        (30, 10, "center", (30, 10)),
        (0, 20, "disabled", (40, 20)),
        (0, 0, "disabled", (16, 8)),
    ],
)
async def test_scaling_gives_the_size_asked_for(user, width, height, crop, size):
    scale = node(
        "ImageScale",
        image=["1", 0],
        upscale_method="lanczos",
        width=width,
        height=height,
        crop=crop,
    )
    (picture,) = await made(user, {"1": empty(RED, width=16), "5": scale} | saved())
    assert picture.size == size


async def test_the_seed_alone_decides_the_noise(user):
    async def noisy(seed, prefix):
        noise = node("ImageAddNoise", image=["1", 0], seed=seed, strength=0.5)
        (picture,) = await made(user, {"1": empty(0x808080), "5": noise} | saved(prefix))
        return picture.tobytes()

    first, again, other = await noisy(1, "a"), await noisy(1, "b"), await noisy(2**63, "c")
    assert first == again != other


async def test_a_composition_pastes_through_the_mask(user):
    half = Image.new("RGBA", (8, 8), (0, 0, 255, 255))
    half.paste((0, 0, 0, 0), (0, 0, 4, 8))
    name = await user.upload("half.png", half)
    paste = node(
        "ImageCompositeMasked",
        destination=["1", 0],
        source=["2", 0],
        x=0,
        y=0,
        resize_source=False,
        mask=["2", 1],
    )
    graph = {"1": empty(RED), "2": node("LoadImage", image=name), "5": paste} | saved()
    (picture,) = await made(user, graph)
    # As in ComfyUI, a mask is 1 where the picture is transparent.
    assert picture.getpixel((1, 1)) == (0, 0, 0)
    assert picture.getpixel((6, 6)) == (255, 0, 0)


async def test_each_picture_of_a_batch_gets_the_next_free_counter_of_its_folder(user):
    def names(entry):
        return [(f["subfolder"], f["filename"]) for f in entry["outputs"]["9"]["images"]]

    batch = {"5": empty(RED, amount=2)} | saved("rows/a")
    assert names(await user.make(batch)) == [("rows", "a_00001_.png"), ("rows", "a_00002_.png")]
    assert names(await user.make(plain_graph("rows/a"))) == [("rows", "a_00003_.png")]
    assert names(await user.make(plain_graph("rows/ab"))) == [("rows", "ab_00001_.png")]
    assert names(await user.make(plain_graph("a"))) == [("", "a_00001_.png")]


async def test_a_saved_picture_holds_its_graph(user):
    graph = plain_graph()
    (picture,) = await user.pictures(await user.make(graph))
    assert "EmptyImage" in picture.text["prompt"]


async def test_a_video_has_as_many_frames_as_pictures_went_in(user):
    graph = {
        "1": empty(BLUE, width=64, height=32),
        "2": node("RepeatImageBatch", image=["1", 0], amount=7),
        "3": node("CreateVideo", images=["2", 0], fps=12.0),
        "9": node("SaveVideo", video=["3", 0], filename_prefix="v", format="auto", codec="auto"),
    }
    entry = await user.make(graph)
    report = entry["outputs"]["9"]
    assert report["animated"] == [True]
    content = await user.content(report["images"][0])
    with av.open(io.BytesIO(content)) as container:
        frames = list(container.decode(video=0))
        assert (container.streams.video[0].codec_context.name, len(frames)) == ("h264", 7)
        assert container.streams.video[0].average_rate == 12
    assert (frames[0].width, frames[0].height) == (64, 32)


@pytest.mark.parametrize(
    ("width", "codec", "message"), [(65, "auto", "libx264"), (64, "vp9", "Only H264 codec")]
)
async def test_a_video_that_comfyui_cannot_encode_fails_alike(user, width, codec, message):
    graph = {
        "1": empty(BLUE, width=width),
        "3": node("CreateVideo", images=["1", 0], fps=12.0),
        "9": node("SaveVideo", video=["3", 0], filename_prefix="v", format="auto", codec=codec),
    }
    event, told = (await user.make(graph))["status"]["messages"][-1]
    assert (event, told["node_id"]) == ("execution_error", "9")
    assert message in told["exception_message"]


async def test_without_its_codec_a_video_fails_with_the_line_that_installs_it(user, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    graph = {
        "1": empty(BLUE),
        "3": node("CreateVideo", images=["1", 0], fps=12.0),
        "9": node("SaveVideo", video=["3", 0], filename_prefix="v", format="auto", codec="auto"),
    }
    told = (await user.make(graph))["status"]["messages"][-1][1]
    assert "pip install -e '.[demo]'" in told["exception_message"]


async def test_an_animation_has_its_frames_and_its_speed(user):
    graph = {
        "1": empty(RED),
        "2": node("ImageAddNoise", image=["1", 0], seed=1, strength=1.0),
        "3": node("RepeatImageBatch", image=["1", 0], amount=1),
        "9": node(
            "SaveAnimatedWEBP",
            images=["2", 0],
            filename_prefix="w",
            fps=10.0,
            lossless=True,
            quality=80,
            method="fastest",
        ),
    }
    (picture,) = await made(user, graph)
    assert picture.format == "WEBP"


async def test_a_picture_stands_upright_whatever_its_file_says(user):
    lying = Image.new("RGB", (20, 10))
    orientation = Image.Exif()
    orientation[0x0112] = 6  # turned by a quarter
    content = io.BytesIO()
    lying.save(content, "PNG", exif=orientation)
    form = aiohttp.FormData()
    form.add_field("image", content.getvalue(), filename="lying.png")
    async with user.session.post(f"{user.url}/upload/image", data=form) as answer:
        assert answer.status == 200
    (picture,) = await made(user, {"5": node("LoadImage", image="lying.png")} | saved())
    assert picture.size == (10, 20)


async def test_a_prefix_that_leads_outside_fails_the_prompt_and_writes_nothing(user, tmp_path):
    entry = await user.make(plain_graph("../../evil"))
    event, told = entry["status"]["messages"][-1]
    assert (event, told["node_id"], told["node_type"]) == ("execution_error", "9", "SaveImage")
    assert not list(tmp_path.glob("**/evil*"))
    assert not list(tmp_path.parent.glob("evil*"))


async def test_a_node_of_another_kind_is_refused_as_a_source(user):
    graph = {"1": empty(RED), "3": node("CreateVideo", images=["1", 0], fps=12.0)} | saved(
        source="3"
    )
    status, content = await user.post("/prompt", {"prompt": graph})
    assert status == 400
    assert b"received_type(VIDEO) mismatch input_type(IMAGE)" in content


async def test_a_circle_is_refused(user):
    turn = node("RepeatImageBatch", image=["6", 0], amount=1)
    graph = {"5": turn, "6": node("RepeatImageBatch", image=["5", 0], amount=1)} | saved()
    status, _ = await user.post("/prompt", {"prompt": graph})
    assert status == 400
    await user.make(plain_graph())  # and the server lives


async def test_of_two_outputs_only_the_good_one_runs(user):
    graph = plain_graph() | {"8": node("SaveImage", images=["7", 0], filename_prefix="bad")}
    graph["7"] = node("LoadImage", image="gone.png")
    status, content = await user.post(
        "/prompt", {"prompt": graph, "prompt_id": (i := "0" * 8 + "-0000-4000-8000-000000000000")}
    )
    assert status == 200
    assert b"Invalid image file: gone.png" in content
    entry = await user.finished(i)
    assert set(entry["outputs"]) == {"9"}
