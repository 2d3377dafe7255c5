"""A table that is a file on our disk; the format is a ``Grid``'s business."""

import asyncio
import hashlib
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from config.settings import Table as TableSettings
from daemon import failpoint
from daemon.tables.cells import (
    CellFile,
    Change,
    Finding,
    Level,
    Outcome,
    Reading,
    Result,
    ResultFile,
    Row,
    Value,
)
from daemon.tables.columns import Columns, Naming, columns_of, insist_on_columns
from daemon.tables.errors import (
    InUse,
    Misconfigured,
    TableError,
    Trouble,
    Unreachable,
    said_by,
)
from daemon.tables.grid import Format, Grid, Plain, Spot
from daemon.tables.office_locks import opened_by
from daemon.tables.places import Places, cell_of, is_same, row_of
from daemon.tables.replacing import clear_drafts, replace_unless_changed

#: Saves of others that may come between our reading and writing before we wait for quiet.
ATTEMPTS = 5
#: A file that changed so recently may change again without its time of change telling.
_SETTLED_SECONDS = 2.0
_WRITTEN = Outcome(result=Result.WRITTEN)


class _Sight(msgspec.Struct, frozen=True):
    """What tells a file that did not change without reading it."""

    inode: int
    size_bytes: int
    changed_ns: int


class FileTable:
    """A CSV or XLSX file. See ``daemon.tables.table.Table`` for what each method promises."""

    has_own_keys = False
    takes_files = False

    def __init__(self, settings: TableSettings, parse: Format, language: str = "auto") -> None:
        assert settings.path is not None  # noqa: S101 - the settings are checked
        self.name = settings.name
        self.kind: str = settings.kind
        self.naming = Naming.of(settings.columns, language)
        self.document = str(settings.path)
        self.pictures_in: Path | None = settings.path.parent
        self._path = settings.path
        self._sheet = settings.sheet
        self._parse = parse
        self._seen: tuple[_Sight, str] | None = None
        self._cleared = False
        self._parsed: tuple[bytes, Grid] | None = None  # reading and writing follow each other

    async def read(self, seen: str | None = None) -> Reading | None:
        """Return the rows, or None when the file is as it was at *seen*."""
        return await asyncio.to_thread(self._read, seen)

    async def read_all(self) -> Reading:
        """Return every row."""
        reading = await asyncio.to_thread(self._read, None)
        assert reading is not None  # noqa: S101 - nothing was seen before
        return reading

    async def find(self, keys: Collection[str]) -> Sequence[Row]:
        """Return the rows that bear one of *keys* now."""
        wanted = set(keys)
        return [row for row in (await self.read_all()).rows if row.key in wanted]

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Write all *changes* in one replacement of the file."""
        return await asyncio.to_thread(self._write, changes)

    async def add_columns(self, keys: Sequence[str]) -> None:
        """Add headings behind the last one."""
        await asyncio.to_thread(self._add_columns, keys)

    async def fetch(self, file: CellFile, row: Row, column: str, into: Path) -> None:
        """Write a picture that lies in a cell to *into*."""
        await asyncio.to_thread(self._fetch, file, into)

    async def upload(
        self,
        file: ResultFile,
        key: str,
        column: str,
        among: object = None,
        ongoing: object = None,
    ) -> str:
        """Raise NotImplementedError: results are told by their path."""
        raise NotImplementedError

    def room(self, column: str) -> int | None:
        """Return None: results are told by their paths."""
        return None

    async def floating(self) -> Mapping[str, frozenset[str]]:
        """Return nothing: no picture floats where it cannot be read."""
        return {}

    async def inspect(self, *, write_test: bool = False) -> Sequence[Finding]:
        """Return whether the file can be read, its columns are there, and it can be written."""
        return await asyncio.to_thread(lambda: list(self._inspect()))

    async def close(self) -> None:
        """Do nothing: no file stays open."""

    # -- what follows blocks ---------------------------------------------------------------------

    def _load(self) -> tuple[bytes, Grid]:
        try:
            data = self._path.read_bytes()
        except OSError as error:
            raise self._failure(error) from error
        if self._parsed is not None and self._parsed[0] == data:
            return self._parsed
        self._parsed = (data, self._parse(data, self._sheet))
        return self._parsed

    def _failure(self, error: OSError) -> TableError:
        path = str(self._path)
        match error:
            case FileNotFoundError() | NotADirectoryError() | IsADirectoryError():
                return Misconfigured("file_missing", path=path)
            case PermissionError():
                return Misconfigured("file_denied", path=path)
            case _:
                trouble = Trouble(code="unreachable", phrases={"reason": said_by(error)})
                return Unreachable.of(trouble, retry_after_seconds=None)

    def _read(self, seen: str | None) -> Reading | None:
        self._clear()
        sight = self._sight()
        if seen is not None and self._seen == (sight, seen):
            return None
        data, grid = self._load()
        # Its time tells too: an older copy that is saved over it may be what was seen before.
        revision = f"{hashlib.sha256(data).hexdigest()}-{sight.changed_ns}"
        settled = time.time_ns() - sight.changed_ns > _SETTLED_SECONDS * 1e9
        self._seen = (sight, revision) if settled else None
        if revision == seen:
            return None
        columns = columns_of(grid.headings, self.naming)
        rows = tuple(row_of(line, columns) for line in grid.lines)
        return Reading(revision=revision, columns=columns, rows=rows)

    def _clear(self) -> None:
        """Put right, once, what an earlier process left beside the file."""
        if self._cleared:
            return
        try:
            clear_drafts(Path(os.path.realpath(self._path)))
        except OSError as error:
            raise self._failure(error) from error
        self._cleared = True

    def _sight(self) -> _Sight:
        try:
            found = self._path.stat()
        except OSError as error:
            raise self._failure(error) from error
        return _Sight(found.st_ino, found.st_size, found.st_mtime_ns)

    def _write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        self._clear()
        for _ in range(ATTEMPTS):
            data, grid = self._load()
            columns = columns_of(grid.headings, self.naming)
            outcomes, cells = self._resolved(changes, grid, columns)
            if not cells:
                return outcomes
            if self._replace(data, grid.rewritten(cells, ())):
                return outcomes
        raise InUse("in_use", who="?", path=str(self._path))

    def _replace(self, expected: bytes, new: bytes) -> bool:
        if (who := opened_by(self._path)) is not None:
            raise InUse("in_use", who=who or "?", path=str(self._path))
        actual = Path(os.path.realpath(self._path))  # a link stays a link
        try:
            failpoint.reach("tables.before_replace")
            done = replace_unless_changed(actual, expected, new)
        except OSError as error:
            raise self._failure(error) from error
        failpoint.reach("tables.replaced")
        return done

    def _resolved(
        self, changes: Sequence[Change], grid: Grid, columns: Columns
    ) -> tuple[list[Outcome], dict[Spot, Plain]]:
        """Return what becomes of each change, and the cells that are to be different."""
        places = Places(grid, columns)
        outcomes: list[Outcome] = []
        cells: dict[Spot, Plain] = {}
        for change in changes:
            line = places.take(change.row, change.among)
            if line is None:
                moved = Result.GONE if isinstance(change.row, str) else Result.MOVED
                outcomes.append(Outcome(result=moved))
                continue
            wanted = self._wanted(change.cells, line, grid, columns)
            if isinstance(wanted, Trouble):
                outcomes.append(Outcome(result=Result.REFUSED, trouble=wanted))
                continue
            cells |= wanted
            outcomes.append(_WRITTEN)
        return outcomes, cells

    def _wanted(
        self, given: Mapping[str, Value], line: int, grid: Grid, columns: Columns
    ) -> dict[Spot, Plain] | Trouble:
        cells: dict[Spot, Plain] = {}
        for key, value in given.items():
            if (column := columns.found.get(key)) is None:
                continue
            plain = self._plain(value)
            if is_same(cell_of(grid.lines[line], column), plain):
                continue
            spot = (line, column)
            if (trouble := grid.refusal(spot, plain)) is not None:
                return trouble
            cells[spot] = plain
        return cells

    def _plain(self, value: Value) -> Plain:
        match value:
            case None:
                return ""
            case tuple():
                return "; ".join(map(self._shown, value))
            case _:
                return value

    def _shown(self, file: ResultFile) -> str:
        """Return a path that leads to the result from where the table lies."""
        folder = self._path.parent
        inside = file.path.is_relative_to(folder)
        return file.path.relative_to(folder).as_posix() if inside else str(file.path)

    def _add_columns(self, keys: Sequence[str]) -> None:
        for _ in range(ATTEMPTS):
            data, grid = self._load()
            columns = columns_of(grid.headings, self.naming)
            missing = [self.naming.heading_of(key) for key in keys if key not in columns]
            if not missing or self._replace(data, grid.rewritten({}, missing)):
                return
        raise InUse("in_use", who="?", path=str(self._path))

    def _fetch(self, file: CellFile, into: Path) -> None:
        _, grid = self._load()
        try:
            content = grid.file(file.token)
        except KeyError as error:  # the picture was taken out since the row was read
            raise Unreachable("changed_meanwhile", path=str(self._path)) from error
        into.write_bytes(content)

    def _inspect(self) -> Iterator[Finding]:
        try:
            _, grid = self._load()
            columns = columns_of(grid.headings, self.naming)
        except TableError as error:
            yield Finding(level=Level.FAIL, trouble=error.trouble)
            return
        try:
            insist_on_columns(columns, self.naming)
        except Misconfigured as error:
            yield Finding(level=Level.FAIL, trouble=error.trouble)
        found = Trouble(code="readable", values={"rows": str(len(grid.lines))})
        yield Finding(level=Level.OK, trouble=found)
        if not os.access(self._path, os.W_OK) or not os.access(self._path.parent, os.W_OK):
            denied = Trouble(code="file_denied", values={"path": str(self._path)})
            yield Finding(level=Level.FAIL, trouble=denied)
        if (who := opened_by(self._path)) is not None:
            in_use = Trouble(code="in_use", values={"who": who or "?", "path": str(self._path)})
            yield Finding(level=Level.WARN, trouble=in_use)
