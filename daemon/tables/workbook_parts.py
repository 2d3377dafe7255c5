"""The parts of a workbook's zip, and how they refer to each other; pure."""

import posixpath
import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import msgspec

from daemon.tables.errors import Misconfigured

_REL_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


class SheetPart(msgspec.Struct, frozen=True, kw_only=True):
    """A worksheet, and the part that holds its cells."""

    title: str
    part: str


def local(element: ET.Element) -> str:
    """Return an element's name without its namespace; strict workbooks have other ones."""
    return element.tag.rpartition("}")[2]


def find_sheet(archive: zipfile.ZipFile, title: str) -> tuple[str, str]:
    """Return title and part of the sheet called *title*, of the first one when it is empty.

    Raises Misconfigured when there is none of this title.
    """
    titles: list[str] = []
    for sheet in sheets_in(archive):
        titles.append(sheet.title)
        if not title or sheet.title.strip() == title.strip():
            return sheet.title, sheet.part
    raise Misconfigured("no_sheet", sheet=title, sheets=tuple(titles) or "–")


def sheets_in(archive: zipfile.ZipFile) -> Iterator[SheetPart]:
    """Yield the sheets of a workbook, in their order; raises KeyError, ET.ParseError."""
    book = ET.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314 - expat limits expansion
    targets = relations(archive, "xl/workbook.xml")
    for sheet in (each for each in book.iter() if local(each) == "sheet"):
        part = targets.get(_relation(sheet), "")
        if "/worksheets/" in f"/{part}":  # a chart or macro sheet has no cells
            yield SheetPart(title=sheet.get("name", ""), part=part)


def relations(archive: zipfile.ZipFile, part: str) -> dict[str, str]:
    """Return the parts that *part* refers to, by the id of the relation."""
    folder, name = posixpath.split(part)
    try:
        content = archive.read(f"{folder}/_rels/{name}.rels")
    except KeyError:
        return {}
    found = ET.fromstring(content)  # noqa: S314 - as above
    return {
        each.get("Id", ""): _resolved(folder, each.get("Target", ""))
        for each in found
        if each.get("TargetMode") != "External"
    }


def _relation(sheet: ET.Element) -> str:
    strict = (value for key, value in sheet.items() if key.endswith("}id"))
    return sheet.get(_REL_ID) or next(strict, "")


def _resolved(folder: str, target: str) -> str:
    path = target if target.startswith("/") else posixpath.join(folder, target)
    return posixpath.normpath(path).lstrip("/")
