"""People who edit table files: a CSV in a text editor, a workbook in a spreadsheet program."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import openpyxl

from config.settings import Table as TableSettings
from daemon.tables.opening import open_tables
from daemon.tables.table import Table


class FileUser:
    """What both kinds share; a format says how a grid of text is loaded and saved."""

    kind: str

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"table.{self.kind}"
        self.create_columns = False

    def load(self) -> list[list[str]]:
        raise NotImplementedError

    def save(self, grid: Sequence[Sequence[str]]) -> None:
        raise NotImplementedError

    @property
    def settings(self) -> TableSettings:
        return TableSettings(name="table", kind=self.kind, path=self.path)

    @property
    def toml(self) -> str:
        created = "true" if self.create_columns else "false"
        return (
            f'[[tables]]\nname = "table"\nkind = "{self.kind}"\npath = "{self.path}"\n'
            f"poll_seconds = 0.2\ncreate_columns = {created}\n"
        )

    def open(self) -> Table:
        (table,) = open_tables([self.settings])
        return table

    def fill(self, headings: Sequence[str], rows: Sequence[Mapping[str, str | Path]]) -> None:
        self.save(
            [headings, *([self._put(row.get(name, "")) for name in headings] for row in rows)]
        )

    def rows(self) -> list[dict[str, str]]:
        headings, *lines = self.load()
        return [dict(zip(headings, line, strict=True)) for line in lines]

    def edit(self, row: int, heading: str, value: str | Path) -> None:
        grid = self.load()
        grid[row + 1][grid[0].index(heading)] = self._put(value)
        self.save(grid)

    def insert(self, row: int, cells: Mapping[str, str | Path]) -> None:
        grid = self.load()
        grid.insert(row + 1, [self._put(cells.get(name, "")) for name in grid[0]])
        self.save(grid)

    def copy(self, row: int) -> None:
        grid = self.load()
        grid.insert(row + 2, list(grid[row + 1]))
        self.save(grid)

    def delete(self, row: int) -> None:
        grid = self.load()
        del grid[row + 1]
        self.save(grid)

    def sort(self, heading: str, *, reverse: bool = False) -> None:
        headings, *lines = self.load()
        place = headings.index(heading)
        lines.sort(key=lambda line: line[place], reverse=reverse)
        self.save([headings, *lines])

    def rename(self, heading: str, new: str) -> None:
        grid = self.load()
        grid[0][grid[0].index(heading)] = new
        self.save(grid)

    def unwritable(self) -> None:
        self._lock.write_text(",somebody,desk,25.11.2026 10:00,file:///tmp;", encoding="utf-8")

    def writable(self) -> None:
        self._lock.unlink()

    @property
    def _lock(self) -> Path:
        return self.path.with_name(f".~lock.{self.path.name}#")

    def _put(self, value: str | Path) -> str:
        """Return what a cell says; a picture is named by its path from the table."""
        return value if isinstance(value, str) else os.path.relpath(value, self.path.parent)


class CsvUser(FileUser):
    kind = "csv"
    encoding = "utf-8"

    def load(self) -> list[list[str]]:
        text = self.path.read_bytes().decode(self.encoding)
        grid = list(csv.reader(io.StringIO(text, newline="")))
        width = len(grid[0])
        return [line + [""] * (width - len(line)) for line in grid]

    def save(self, grid: Sequence[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(grid)
        draft = self.path.with_suffix(".saving")
        draft.write_bytes(text.getvalue().encode(self.encoding))
        draft.replace(self.path)


class XlsxUser(FileUser):
    """Saves as a spreadsheet program does: numbers as numbers, the file anew each time."""

    kind = "xlsx"

    def load(self) -> list[list[str]]:
        book = openpyxl.load_workbook(self.path)
        lines = [
            ["" if cell is None else str(cell) for cell in line]
            for line in book.worksheets[0].iter_rows(values_only=True)
        ]
        return [line for line in lines if any(line)]

    def save(self, grid: Sequence[Sequence[str]]) -> None:
        book = openpyxl.Workbook()
        sheet = book.worksheets[0]
        for number, line in enumerate(grid, start=1):
            for column, text in enumerate(line, start=1):
                if text:
                    value = int(text) if text.isdecimal() and number > 1 else text
                    sheet.cell(number, column).value = value
                    if isinstance(value, str):
                        sheet.cell(number, column).data_type = "s"  # "=c" is no formula
        draft = self.path.with_suffix(".saving")
        book.save(draft)
        draft.replace(self.path)


FILE_USERS: tuple[type[FileUser], ...] = (CsvUser, XlsxUser)
