"""People who edit Feishu tables, on the fake server; their daemon's pauses take no time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from config.load import load
from config.settings import Table as TableSettings
from daemon.clock import Clock
from daemon.feishu.client import Client
from daemon.feishu.quota import Quota
from daemon.tables.opening import open_tables
from daemon.tables.table import Table
from tests.fakes.clock import JumpingClock
from tests.fakes.feishu import Base, Book, Column, FakeFeishu, Picture

#: Columns of pictures and videos hold files; all others are text, as people make them.
FILE_COLUMNS = {
    *("产品图", "模特图", "图片", "输出图片", "输出视频", "产品模特合成图"),
    *("product_image", "model_image", "image", "output_image", "output_video"),
}


class FeishuUser:
    """What both kinds share; ``start`` before the first use."""

    kind: str
    link: str

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        """*clock*: of server and client; a daemon in a process of its own needs the machine's."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.clock = clock or JumpingClock()
        self.feishu = FakeFeishu(self.clock)
        self.create_columns = False

    async def start(self) -> None:
        await self.feishu.start()

    async def stop(self) -> None:
        await self.feishu.stop()

    @property
    def settings(self) -> TableSettings:
        return TableSettings(name="table", kind=self.kind, url=self.link)

    @property
    def toml(self) -> str:
        created = "true" if self.create_columns else "false"
        return (
            f'[feishu]\nbase_url = "{self.feishu.url}"\napp_id = "{self.feishu.app_id}"\n'
            f'app_secret = "{self.feishu.app_secret}"\n'
            f'[[tables]]\nname = "table"\nkind = "{self.kind}"\nurl = "{self.link}"\n'
            f"poll_seconds = 0.2\ncreate_columns = {created}\n"
        )

    def client(self) -> Client:
        file = self.folder / "client.toml"
        file.write_text(self.toml, encoding="utf-8")
        feishu = load(file, {}).settings.feishu
        return Client(
            base_url=feishu.base_url,
            app_id=feishu.app_id,
            app_secret=feishu.app_secret,
            clock=self.clock,
            quota=Quota(self.folder / "calls.json", self.clock),
        )

    def open(self) -> Table:
        (table,) = open_tables([self.settings], self.client())
        return table

    def writable(self) -> None:
        self.feishu.mend()


class BitableUser(FeishuUser):
    kind = "feishu-bitable"
    base: Base

    @property
    def link(self) -> str:
        return f"{self.feishu.url}/base/{self.base.app}?table={self.base.table}"

    def fill(self, headings: Sequence[str], rows: Sequence[Mapping[str, str | Path]]) -> None:
        columns = [Column(name, 17 if name in FILE_COLUMNS else 1) for name in headings]
        if not hasattr(self, "base"):
            self.base = self.feishu.base(columns)
        self.base.columns, self.base.rows = columns, []
        for row in rows:
            self.insert(len(self.base.rows), row)

    def rows(self) -> list[dict[str, str]]:
        return [
            {
                column.name: self._seen(row.cells.get(column.field_id))
                for column in self.base.columns
            }
            for row in self.base.rows
        ]

    def _seen(self, value: Any) -> str:
        if isinstance(value, list):
            return ", ".join(self.feishu.drive.media[each["file_token"]].name for each in value)
        return "" if value is None else str(value)

    def edit(self, row: int, heading: str, value: str | Path) -> None:
        record, column = self.base.rows[row], self.base.column(heading)
        record.cells[column.field_id] = self._put(value)
        self.base.touch(record)

    def insert(self, row: int, cells: Mapping[str, str | Path]) -> None:
        self.base.add({name: self._put(value) for name, value in cells.items() if value}, row)

    def copy(self, row: int) -> None:
        cells = {c.name: self.base.rows[row].cells.get(c.field_id) for c in self.base.columns}
        self.base.add(cells, row + 1)

    def delete(self, row: int) -> None:
        del self.base.rows[row]

    def sort(self, heading: str, *, reverse: bool = False) -> None:
        key = self.base.column(heading).field_id
        self.base.rows.sort(key=lambda row: self._seen(row.cells.get(key)), reverse=reverse)

    def rename(self, heading: str, new: str) -> None:
        self.base.column(heading).name = new

    def unwritable(self) -> None:
        self.feishu.fail("bitable.update", 1254291, times=99)

    def _put(self, value: str | Path) -> Any:
        if isinstance(value, str):
            return value
        return [self.base.attach(value.read_bytes(), value.name)]


class SheetUser(FeishuUser):
    kind = "feishu-sheet"
    book: Book

    @property
    def link(self) -> str:
        return f"{self.feishu.url}/sheets/{self.book.token}"

    @property
    def grid(self) -> list[list[Any]]:
        return self.book.sheets[0].grid

    def fill(self, headings: Sequence[str], rows: Sequence[Mapping[str, str | Path]]) -> None:
        if not hasattr(self, "book"):
            self.book = self.feishu.book()
        self.grid[:] = [list(headings)]
        for row in rows:
            self.insert(len(self.grid) - 1, row)

    def rows(self) -> list[dict[str, str]]:
        headings, *lines = self.grid
        return [
            {
                name: self._seen(line[n] if n < len(line) else None)
                for n, name in enumerate(headings)
            }
            for line in lines
        ]

    def _seen(self, value: Any) -> str:
        if isinstance(value, Picture):
            return self.feishu.drive.media[value.token].name
        if isinstance(value, dict):
            return str(value["text"])
        return "" if value is None else str(value)

    def edit(self, row: int, heading: str, value: str | Path) -> None:
        place = self.grid[0].index(heading)
        self.book.set(self.book.sheets[0], row + 1, place, self._put(value))

    def insert(self, row: int, cells: Mapping[str, str | Path]) -> None:
        line = [self._put(cells.get(name) or "") for name in self.grid[0]]
        self.grid.insert(row + 1, line)
        self.book.revision += 1

    def copy(self, row: int) -> None:
        self.grid.insert(row + 2, list(self.grid[row + 1]))
        self.book.revision += 1

    def delete(self, row: int) -> None:
        del self.grid[row + 1]
        self.book.revision += 1

    def sort(self, heading: str, *, reverse: bool = False) -> None:
        place = self.grid[0].index(heading)
        self.grid[1:] = sorted(
            self.grid[1:], key=lambda line: self._seen(line[place]), reverse=reverse
        )
        self.book.revision += 1

    def rename(self, heading: str, new: str) -> None:
        self.grid[0][self.grid[0].index(heading)] = new
        self.book.revision += 1

    def unwritable(self) -> None:
        self.feishu.fail("sheets.write", 1315201, times=99)

    def _put(self, value: str | Path) -> Any:
        if isinstance(value, str):
            return value or None
        return self.book.picture(value.read_bytes(), value.name)


FEISHU_USERS: tuple[type[FeishuUser], ...] = (BitableUser, SheetUser)
