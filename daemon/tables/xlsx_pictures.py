"""Pictures in the cells of a workbook: anchored to one, or WPS's in-cell pictures; pure."""

import posixpath
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import TypeAlias
from xml.etree import ElementTree as ET

from daemon.tables.cells import CellFile
from daemon.tables.sheet_xml import column_index
from daemon.tables.workbook_parts import local, relations

#: By row number (from 1) and column (from 0); a file's token is its part of the zip.
Pictures: TypeAlias = Mapping[int, Mapping[int, tuple[CellFile, ...]]]

_IN_CELL = "xl/cellimages.xml"
#: What WPS puts into a cell: =DISPIMG("ID_0123",1), with or without a prefix.
_DISPIMG = re.compile(rb'DISPIMG\((?:&quot;|")(\w+)(?:&quot;|")')
_CELL = re.compile(
    rb'<(?:\w+:)?c\b[^>]*\br="([A-Z]+)(\d+)"[^>]*(?<!/)>(?:(?!</(?:\w+:)?c>).)*?DISPIMG', re.DOTALL
)


def find_pictures(archive: zipfile.ZipFile, sheet: str) -> Pictures:
    """Return the pictures of the sheet whose part is *sheet*.

    A picture that floats over several cells belongs to the one that its upper left corner is in.
    """
    found: dict[int, dict[int, tuple[CellFile, ...]]] = {}
    for row, column, part in [*_anchored(archive, sheet), *_in_cells(archive, sheet)]:
        size = archive.getinfo(part).file_size
        file = CellFile(token=part, name=posixpath.basename(part), size_bytes=size)
        cells = found.setdefault(row, {})
        cells[column] = (*cells.get(column, ()), file)
    return found


def _anchored(archive: zipfile.ZipFile, sheet: str) -> Iterator[tuple[int, int, str]]:
    for drawing in relations(archive, sheet).values():
        if "/drawings/" not in drawing or not drawing.endswith(".xml") or "vml" in drawing:
            continue
        pictures = relations(archive, drawing)
        for anchor in _parsed(archive, drawing):
            corner = next((each for each in anchor if local(each) == "from"), None)
            part = _embedded(anchor, pictures)
            if corner is None or part not in archive.NameToInfo:
                continue
            place = {local(each): int(each.text or 0) for each in corner}
            yield place.get("row", 0) + 1, place.get("col", 0), part


def _in_cells(archive: zipfile.ZipFile, sheet: str) -> Iterator[tuple[int, int, str]]:
    if _IN_CELL not in archive.NameToInfo:
        return
    pictures = relations(archive, _IN_CELL)
    by_id: dict[str, str] = {}
    for image in _parsed(archive, _IN_CELL):
        named = next((each.get("name", "") for each in image.iter() if local(each) == "cNvPr"), "")
        by_id[named] = _embedded(image, pictures)
    content = archive.read(sheet)
    for cell in _CELL.finditer(content):
        found = _DISPIMG.search(content, cell.end() - len(b"DISPIMG"))
        part = by_id.get(found[1].decode()) if found else None
        if part in archive.NameToInfo and part is not None:
            yield int(cell[2]), column_index(cell[1].decode()), part


def _embedded(element: ET.Element, pictures: Mapping[str, str]) -> str:
    for blip in (each for each in element.iter() if local(each) == "blip"):
        for key, value in blip.items():
            if key.endswith("}embed") and value in pictures:
                return pictures[value]
    return ""


def _parsed(archive: zipfile.ZipFile, part: str) -> ET.Element:
    return ET.fromstring(archive.read(part))  # noqa: S314 - expat limits expansion
