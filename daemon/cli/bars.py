"""The picture as bars on a terminal, drawn by rich; nobody else imports it."""

import sys

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from daemon.cli.picture import BatchLine, Picture, ServerLine
from daemon.words import Words

_BAR_CHARACTERS = 30


class RichBars:
    """A bar per batch and a line per server; what is printed meanwhile appears above them."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._live = Live(
            console=Console(file=sys.stdout), auto_refresh=False, vertical_overflow="crop"
        )

    def draw(self, picture: Picture) -> None:
        """Show how all stands; the first time takes the terminal."""
        self._live.start()
        self._live.update(self._rendered(picture), refresh=True)

    def close(self) -> None:
        """Leave the last picture standing and the terminal as it was."""
        self._live.stop()

    def _rendered(self, picture: Picture) -> RenderableType:
        table = Table.grid(padding=(0, 1), expand=False)
        table.add_column(no_wrap=True, max_width=32, overflow="ellipsis")
        table.add_column(width=_BAR_CHARACTERS)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        for batch in picture.batches:
            table.add_row(*_batch_cells(batch))
        for server in picture.servers:
            table.add_row(*_server_cells(server))
        parts: list[RenderableType] = [table]
        if picture.more:
            more = self._words("progress.more", count=picture.more)
            parts.append(Text(more, style="dim"))
        if picture.hint:
            parts.append(Text(picture.hint, style="dim"))
        return Group(*parts)


def _batch_cells(line: BatchLine) -> tuple[RenderableType, ...]:
    bar = ProgressBar(
        total=max(1, line.total),
        completed=line.done + line.failed,
        width=_BAR_CHARACTERS,
        complete_style="red" if line.waits_for_a_person else "green",
        finished_style="yellow" if line.failed else "green",
    )
    remark = Text()
    if line.failed:
        remark.append(f"✗ {line.failed}  ", style="red")
    remark.append(line.remark, style="yellow" if line.waits_for_a_person else "dim")
    return Text(line.name, style="bold"), bar, f"{line.done}/{line.total}", remark


def _server_cells(line: ServerLine) -> tuple[RenderableType, ...]:
    name = Text(f"  {line.name}", style="" if line.works else "yellow")
    if line.share is None:
        bar: RenderableType = Text("")
    else:
        bar = ProgressBar(
            total=1.0, completed=line.share, width=_BAR_CHARACTERS, complete_style="cyan"
        )
    style = "yellow" if not line.works else "" if line.inside else "dim"
    return name, bar, Text(f"{line.inside}/{line.room}", style="dim"), Text(line.activity, style)
