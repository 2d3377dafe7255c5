"""CSV: bytes ↔ lines of cells; pure. What is not written stays as it is, byte for byte."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from daemon.tables.errors import Misconfigured, Trouble
from daemon.tables.grid import GridLine, Plain, Spot

MAX_BYTES = 64 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
#: A text that starts so is a formula to a spreadsheet program.
_FORMULA = ("=", "+", "-", "@", "\t")


class _Line(msgspec.Struct, frozen=True, gc=False):
    start: int  # of its first cell
    end: int  # behind its last cell, before the line's end
    number: int


class CsvGrid:
    """A CSV file, read. ``parse_csv`` makes it."""

    def __init__(self, data: bytes, encoding: str, delimiter: bytes) -> None:
        self._data = data
        self._encoding = encoding
        self._delimiter = delimiter
        self._cell = re.compile(
            rb'"[^"]*(?:""[^"]*)*"(?=%(d)s|\r|\n|\Z)|[^%(d)s\r\n]*' % {b"d": re.escape(delimiter)}
        )
        self._all: list[_Line] = []
        self.headings: Sequence[str] = ()
        self.lines: Sequence[GridLine] = ()

    def read(self) -> None:
        """Part the bytes into lines; the first that is not blank holds the headings."""
        lines: list[GridLine] = []
        for line in self._parted(len(_BOM) if self._data.startswith(_BOM) else 0):
            raw = self._data[line.start : line.end]
            cells = [self._text(span) for span in self._spans(line)]
            if not any(cell.strip() for cell in cells):
                continue
            self._all.append(line)
            if len(self._all) == 1:
                self.headings = cells
                continue
            mark = hashlib.blake2b(raw, digest_size=16).hexdigest()
            lines.append(GridLine(number=line.number, cells=cells, mark=mark))
        self.lines = lines

    def refusal(self, spot: Spot, value: Plain) -> Trouble | None:
        """Return None: a CSV takes any text."""
        return None

    def rewritten(self, cells: Mapping[Spot, Plain], headings: Sequence[str]) -> bytes:
        """Return the file with these cells changed and *headings* added behind the last.

        With *headings* every line that ends before the last of them gets empty cells.
        """
        by_line: dict[int, dict[int, Plain]] = {}
        for (line, column), value in cells.items():
            by_line.setdefault(line + 1, {})[column] = value
        width = 0
        if headings:
            by_line = {index: by_line.get(index, {}) for index in range(len(self._all))}
            by_line[0] = dict(enumerate(headings, len(self.headings)))
            width = len(self.headings) + len(headings)
        pieces: list[bytes] = []
        done = 0
        for index in sorted(by_line):
            old = self._all[index]
            pieces += [
                self._data[done : old.start],
                self._rewritten_line(old, by_line[index], width),
            ]
            done = old.end
        return b"".join([*pieces, self._data[done:]])

    def file(self, token: str) -> bytes:
        """Raise KeyError: no file lies in a CSV."""
        raise KeyError(token)

    def _rewritten_line(self, line: _Line, changed: Mapping[int, Plain], width: int) -> bytes:
        spans = list(self._spans(line))
        cells = [self._data[start:end] for start, end in spans]
        cells += [b""] * (max([width, *(column + 1 for column in changed)]) - len(cells))
        for column, value in changed.items():
            cells[column] = self._written(value, quoted=cells[column][:1] == b'"')
        return self._delimiter.join(cells)

    def _written(self, value: Plain, *, quoted: bool) -> bytes:
        text = str(value)
        if isinstance(value, str) and text.startswith(_FORMULA):
            text = f" {text}"
        needs = any(char in text for char in ('"', "\r", "\n", self._delimiter.decode()))
        if needs or (quoted and text):
            text = '"' + text.replace('"', '""') + '"'
        return text.encode(self._encoding, "replace")

    def _parted(self, position: int) -> Iterator[_Line]:
        data, number = self._data, 1
        while position < len(data):
            start = position
            while True:
                position = self._end_of_cell(position, number)
                if data[position : position + 1] != self._delimiter:
                    break
                position += 1
            yield _Line(start, position, number)
            number += data.count(b"\n", start, position) + 1
            position += 2 if data[position : position + 2] == b"\r\n" else 1

    def _end_of_cell(self, position: int, number: int) -> int:
        found = self._cell.match(self._data, position)
        assert found is not None  # noqa: S101 - it matches the empty cell too
        if found[0][:1] == b'"' and (len(found[0]) < 2 or found[0][-1:] != b'"'):  # noqa: PLR2004 - a pair
            raise Misconfigured("csv_quote", line=str(number))
        return found.end()

    def _spans(self, line: _Line) -> Iterator[tuple[int, int]]:
        position = line.start
        while True:
            found = self._cell.match(self._data, position)
            assert found is not None  # noqa: S101 - as above
            yield found.span()
            position = found.end() + 1
            if position > line.end:
                return

    def _text(self, span: tuple[int, int]) -> str:
        raw = self._data[slice(*span)]
        if raw[:1] == b'"':
            raw = raw[1:-1].replace(b'""', b'"')
        return raw.decode(self._encoding)


def parse_csv(data: bytes, _sheet: str = "") -> CsvGrid:
    """Return what the CSV *data* holds: UTF-8 (with or without BOM) or GBK, cells by ``,;`` or tab.

    Raises Misconfigured with the reason.
    """
    if len(data) > MAX_BYTES:
        raise Misconfigured("too_big", limit=f"{MAX_BYTES // 1024**2} MiB")
    grid = CsvGrid(data, _encoding_of(data), _delimiter_of(data))
    grid.read()
    if not grid.headings:
        raise Misconfigured("empty")
    return grid


def _encoding_of(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:4096]:
        raise Misconfigured("csv_encoding")  # UTF-16, or no text at all
    for encoding in ("utf-8", "gb18030"):
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    raise Misconfigured("csv_encoding")


def _delimiter_of(data: bytes) -> bytes:
    first = (data.removeprefix(_BOM).lstrip().splitlines() or [b""])[0]
    return max((b",", b";", b"\t"), key=first.count)
