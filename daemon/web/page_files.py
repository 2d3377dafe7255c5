"""The dashboard's own files: read once from the package, one of them made of the catalogue."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePosixPath

import msgspec

from daemon.words.catalogue import CATALOGUE
from daemon.words.retelling import RECORDS, written

KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


class PageFile(msgspec.Struct, frozen=True):
    """One file as it is sent; *etag* changes with its content."""

    body: bytes
    kind: str
    etag: str


#: What it is called; the page retells with it what records say.
RECORDED_WORDS = "words-records.js"


def read_page() -> Mapping[str, PageFile]:
    """Return the page's files by name. Blocks."""
    found: dict[str, PageFile] = {}
    for each in files("daemon.web").joinpath("static").iterdir():
        kind = KINDS.get(PurePosixPath(each.name).suffix)
        if kind is not None:
            found[each.name] = _page_file(each.read_bytes(), kind)
    return found | {RECORDED_WORDS: _page_file(_recorded_words(), KINDS[".js"])}


def _page_file(body: bytes, kind: str) -> PageFile:
    return PageFile(body, kind, hashlib.sha256(body).hexdigest()[:16])


def _recorded_words() -> bytes:
    """Return a script with each sentence that records may hold, in English and in Chinese."""
    pairs = [(text, CATALOGUE["zh"][key]) for key, text in written("en", RECORDS)]
    return b"export const RECORDED = " + msgspec.json.encode(pairs) + b";\n"
