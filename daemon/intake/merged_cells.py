"""Which cells of a worksheet lie under a merged one: they show its value and hold none."""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from xml.etree import ElementTree as ET

import msgspec

from daemon.intake.grid import MAX_COLUMNS, MAX_ROWS, Line
from daemon.intake.reasons import because
from daemon.tables.sheet_xml import column_letters, corners
from daemon.tables.workbook_parts import sheets_in

_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?\bref=["']([A-Z]+\d+:[A-Z]+\d+)["']""")
_SCANNED_BYTES = 1024 * 1024
#: An element lies in two blocks that are read one after the other; it is no longer than this.
_LONGEST_ELEMENT_BYTES = 300
#: A forged file may merge all cells thousands of times.
_ROWS_FOLLOWED = 2 * MAX_ROWS

#: By number of the line, a bit for each column from 0.
Covered = Mapping[int, int]


def covered_in(data: bytes, title: str) -> Covered:
    """Return what is covered in the sheet *title* of a workbook; nothing where it is not found."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        try:
            part = next(each.part for each in sheets_in(archive) if each.title == title)
            stream = archive.open(part)
        except (KeyError, StopIteration, ET.ParseError):  # openpyxl knows more ways to find one
            return {}
        with stream:
            return _covered(_references(iter(lambda: stream.read(_SCANNED_BYTES), b"")))


def told(lines: Iterable[Line], covered: Covered) -> Iterator[Line]:
    """Yield *lines*, those that hold anything with what is wrong with their covered cells."""
    for line in lines:
        mask = covered.get(line.number, 0)
        if mask and any(cell not in (None, "") for cell in line.cells):
            under = [column for column in range(mask.bit_length()) if mask >> column & 1]
            why = {
                column: because("merged", cell=f"{column_letters(column)}{line.number}")
                for column in under
            }
            yield msgspec.structs.replace(line, problems={**why, **(line.problems or {})})
        else:
            yield line


def _references(blocks: Iterable[bytes]) -> Iterator[str]:
    tail = b""
    for block in blocks:
        text, done = tail + block, 0
        for found in _MERGED.finditer(text):
            done = found.end()
            yield found[1].decode()
        tail = text[max(done, len(text) - _LONGEST_ELEMENT_BYTES) :]


def _covered(references: Iterable[str]) -> Covered:
    covered: dict[int, int] = {}
    left = _ROWS_FOLLOWED
    for reference in references:
        top, bottom, first, last = corners(reference)
        rows = range(top, min(bottom, top + left - 1) + 1)
        left -= len(rows)
        if left <= 0:
            break
        width = min(last, MAX_COLUMNS - 1) - first + 1
        mask = ((1 << max(0, width)) - 1) << first
        for row in rows:
            covered[row] = covered.get(row, 0) | mask
        covered[top] &= ~(1 << first)
    return covered
