import pytest

from daemon.comfy.wording import cleaned


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Truncated File Read\n", "Truncated File Read"),
        ("cannot open /home/x/ComfyUI/input/a.png", "cannot open a.png"),
        (
            "[Errno 2] No such file: '/home/x/my models/a b.safetensors'",
            "[Errno 2] No such file: 'a b.safetensors'",
        ),
        (r"cannot open C:\ComfyUI\models\checkpoints\sd.ckpt now", "cannot open sd.ckpt now"),
        (r"cannot open 'D:\My AI\ComfyUI\sd.ckpt'", "cannot open 'sd.ckpt'"),
        (r"on \\nas\models\a.pt", "on a.pt"),
        ("in <ComfyUI>/execution.py", "in execution.py"),
        ("at file:///root/ComfyUI/x.png", "at x.png"),
        ("~/ComfyUI/x.png missing", "x.png missing"),
        (
            "get it at https://huggingface.co/a/b/c.safetensors",
            "get it at https://huggingface.co/a/b/c.safetensors",
        ),
        ("size 1/2/3, and/or 512x512, a/b/c.png", "size 1/2/3, and/or 512x512, a/b/c.png"),
        ("line one\n\n  line two\t end", "line one line two end"),
        (
            'Worker failed\nTraceback (most recent call last):\n  File "/a/b.py", line 3, in f\n    g()\nRuntimeError: boom',
            "Worker failed RuntimeError: boom",
        ),
        ('  File "/a/b.py", line 3\n    ^^^^\nSyntaxError', "SyntaxError"),
        ("图片 /data/输入/产品.png 打不开", "图片 产品.png 打不开"),
    ],
)
def test_a_message_keeps_its_sense_and_loses_paths_and_traceback(said, shown):
    assert cleaned(said) == shown


def test_a_long_message_is_cut_with_an_ellipsis():
    assert cleaned("x" * 600) == "x" * 499 + "…"


def test_a_huge_message_takes_no_time():
    assert len(cleaned("/a" * 200_000)) <= 500
    assert len(cleaned("C:\\a b" * 50_000)) <= 500
    assert len(cleaned("'/" * 100_000)) <= 500
