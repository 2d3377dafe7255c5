"""The picture of the work, as the terminal shows it."""

import io

from rich.console import Console

from daemon.cli.bars import RichBars
from daemon.cli.picture import BatchLine, Picture, ServerLine, clock_time
from daemon.words import Words


def drawn(picture: Picture) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=90).print(RichBars(Words("en"))._rendered(picture))
    return out.getvalue().rstrip("\n").split("\n")


def test_each_batch_and_each_server_has_a_line_that_says_how_it_stands() -> None:
    lines = drawn(
        Picture(
            batches=(
                BatchLine(name="spring-abc234", done=5, failed=1, total=12, remark="≈ 0:40 – 1:10"),
                BatchLine(
                    name="summer-def567",
                    done=0,
                    failed=0,
                    total=500,
                    remark="waits for: missing node",
                    waits_for_a_person=True,
                ),
            ),
            servers=(
                ServerLine(name="gpu-a", inside=2, room=2, activity="图片合成 青瓷杯", share=0.5),
                ServerLine(name="gpu-b", inside=0, room=2, activity="unreachable", works=False),
            ),
            more=3,
        )
    )
    batch, held, server, gone, more = lines
    assert batch.startswith("spring-abc234 ━━━")
    assert batch.split()[-7:] == ["5/12", "✗", "1", "≈", "0:40", "–", "1:10"]
    assert held.rstrip().endswith("0/500 waits for: missing node")
    assert server.split()[0] == "gpu-a"
    assert "━" in server
    assert server.rstrip().endswith("2/2 图片合成 青瓷杯")
    assert gone.split() == ["gpu-b", "0/2", "unreachable"]
    assert more == "and 3 more batches"


def test_a_span_reads_like_a_clock() -> None:
    assert [clock_time(each) for each in (0.4, 42, 725, 11_220)] == [
        "0:00",
        "0:42",
        "12:05",
        "3:07:00",
    ]
