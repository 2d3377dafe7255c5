"""The XML of one worksheet: where its cells stand, and other values in their place; pure.

Only the bytes of cells that change are replaced; the rest of the part stays as it is.
"""

import re
from collections.abc import Iterable, Mapping
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import msgspec

from daemon.tables.errors import Misconfigured
from daemon.tables.grid import Plain

#: More is no cell in any spreadsheet program.
MAX_CELL_CHARACTERS = 32_767
_REFERENCE = re.compile(r"([A-Z]{1,3})(\d{1,7})")
_DIMENSION = re.compile(rb'(<(?:\w+:)?dimension\b[^>]*?\bref=")([A-Z]+\d+(?::[A-Z]+\d+)?)(")')
#: An element without an end tag; values of attributes may hold what ends a tag elsewhere.
_EMPTY = re.compile(rb"""<[^<>"']*(?:"[^"]*"[^<>"']*|'[^']*'[^<>"']*)*/>""")
#: What XML cannot carry.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class Span(msgspec.Struct, gc=False):
    """Where an element stands in the part's bytes, and what of its attributes we need."""

    start: int
    end: int  # behind its end tag
    style: str | None = None
    has_formula: bool = False


class RowSpan(msgspec.Struct):
    """A row element with its cells by column, from 0."""

    start: int
    end: int
    cells: dict[int, Span]


class SheetXml:
    """One worksheet part, scanned."""

    def __init__(self, part: bytes) -> None:
        self._part = part
        self.rows: dict[int, RowSpan] = {}  # by number, from 1
        self.covered: set[tuple[int, int]] = set()  # row, column: inside a merged cell
        self.prefix = ""
        self._scan()

    def rewritten(self, cells: Mapping[tuple[int, int], Plain]) -> bytes:
        """Return the part with the cells at (row number, column) changed; their style stays."""
        by_row: dict[int, dict[int, Plain]] = {}
        for (row, column), value in cells.items():
            by_row.setdefault(row, {})[column] = value
        edits: list[tuple[int, int, bytes]] = []
        for number, changed in by_row.items():
            edits += self._row_edits(number, changed)
        pieces, done = [], 0
        for start, end, new in sorted(edits, key=lambda edit: edit[:2]):
            pieces += [self._part[done:start], new]
            done = end
        part = b"".join([*pieces, self._part[done:]])
        return _DIMENSION.sub(lambda found: _widened(found, cells), part, count=1)

    def _row_edits(self, number: int, changed: Mapping[int, Plain]) -> list[tuple[int, int, bytes]]:
        row = self.rows[number]
        edits: list[tuple[int, int, bytes]] = []
        added: dict[int, bytes] = {}
        for column, value in sorted(changed.items()):
            old = row.cells.get(column)
            new = self._cell(number, column, value, old.style if old else None)
            if old is not None:
                edits.append((old.start, old.end, new))
            else:
                at = self._place_of(row, column)
                added[at] = added.get(at, b"") + new
        if added and self._part[row.end - 2 : row.end] == b"/>":
            opened = self._part[row.start : row.end - 2].rstrip() + b">"
            closing = f"</{self.prefix}row>".encode()
            return [(row.start, row.end, opened + b"".join(added.values()) + closing)]
        return edits + [(at, at, new) for at, new in added.items()]

    def _place_of(self, row: RowSpan, column: int) -> int:
        """Return where a new cell of *column* is inserted: cells stand in order."""
        after = [span.start for other, span in row.cells.items() if other > column]
        return min(after) if after else self._part.rindex(b"<", row.start, row.end)

    def _cell(self, row: int, column: int, value: Plain, style: str | None) -> bytes:
        tag = f"{self.prefix}c"
        head = f'<{tag} r="{column_letters(column)}{row}"'
        head += f" s={quoteattr(style)}" if style is not None else ""
        p = self.prefix
        match value:
            case "":
                text = f"{head}/>"
            case str():
                inner = escape(_ILLEGAL.sub("", value.replace("\r\n", "\n")))
                text = (
                    f'{head} t="inlineStr"><{p}is><{p}t xml:space="preserve">{inner}</{p}t></{p}is>'
                    f"</{tag}>"
                )
            case _:
                text = f"{head}><{p}v>{value}</{p}v></{tag}>"
        return text.encode()

    def end_of(self, start: int, told: int) -> int:
        """Return where the element that begins at *start* ends; *told*: where expat says so.

        That is at its end tag; of an element without one, behind it.
        """
        return told if _EMPTY.match(self._part, start) else self._part.index(b">", told) + 1

    def _scan(self) -> None:
        scan = _Scan(self)
        parser = expat.ParserCreate()
        parser.StartElementHandler = lambda name, attrs: scan.begin(
            name, attrs, parser.CurrentByteIndex
        )
        parser.EndElementHandler = lambda name: scan.end(name, parser.CurrentByteIndex)
        try:
            parser.Parse(self._part, True)  # noqa: FBT003 - expat's own signature
        except expat.ExpatError as error:
            raise Misconfigured("xlsx_damaged", reason=str(error)) from error


class _Scan:
    """What the parser tells, element by element."""

    def __init__(self, sheet: SheetXml) -> None:
        self._sheet = sheet
        self._row: RowSpan | None = None
        self._cell: Span | None = None
        self._number = 0
        self._column = -1

    def begin(self, name: str, attributes: Mapping[str, str], at: int) -> None:
        prefix, _, local = name.rpartition(":")
        match local:
            case "sheetData":
                self._sheet.prefix = f"{prefix}:" if prefix else ""
            case "row":
                self._number = int(attributes.get("r", self._number + 1))
                self._column = -1
                self._row = RowSpan(start=at, end=at, cells={})
                self._sheet.rows[self._number] = self._row
            case "c" if self._row is not None:
                found = _REFERENCE.fullmatch(attributes.get("r", ""))
                self._column = column_index(found[1]) if found else self._column + 1
                self._cell = Span(start=at, end=at, style=attributes.get("s"))
                self._row.cells[self._column] = self._cell
            case "f" if self._cell is not None:
                self._cell.has_formula = True
            case "mergeCell":
                self._sheet.covered.update(_covered(attributes.get("ref", "")))

    def end(self, name: str, at: int) -> None:
        match name.rpartition(":")[2]:
            case "c" if self._cell is not None:
                self._cell.end = self._sheet.end_of(self._cell.start, at)
                self._cell = None
            case "row" if self._row is not None:
                self._row.end = self._sheet.end_of(self._row.start, at)
                self._row = None


def column_index(letters: str) -> int:
    """Return the index of a column, from 0: A is 0, AA is 26."""
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1


def column_letters(index: int) -> str:
    """Return what a spreadsheet program calls the column at *index*."""
    letters, left = "", index + 1
    while left:
        left, place = divmod(left - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters


def _covered(reference: str) -> Iterable[tuple[int, int]]:
    """Yield the cells of a merged range but for its first, which is the one that is shown."""
    top, bottom, first, last = corners(reference)
    rows, columns = range(top, bottom + 1), range(first, last + 1)
    if len(rows) * len(columns) > 1_000_000:  # noqa: PLR2004 - whole columns hold no row of ours
        return
    yield from ((r, c) for r in rows for c in columns if (r, c) != (top, first))


def corners(reference: str) -> tuple[int, int, int, int]:
    """Return the first and last row of a range, from 1, its first and last column, from 0.

    What is no range has its last row and column before the first ones.
    """
    one, _, other = reference.partition(":")
    first, last = _REFERENCE.fullmatch(one), _REFERENCE.fullmatch(other)
    if first is None or last is None:
        return 1, 0, 0, -1
    return int(first[2]), int(last[2]), column_index(first[1]), column_index(last[1])


def _widened(found: re.Match[bytes], cells: Iterable[tuple[int, int]]) -> bytes:
    first, _, last = found[2].decode().partition(":")
    end = _REFERENCE.fullmatch(last or first)
    assert end is not None  # noqa: S101 - the pattern has the same form
    column = max([column_index(end[1]), *(column for _, column in cells)])
    return found[1] + f"{first}:{column_letters(column)}{end[2]}".encode() + found[3]
