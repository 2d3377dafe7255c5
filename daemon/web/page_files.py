"""The dashboard's own files, read once from the package."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePosixPath

import msgspec

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


def read_page() -> Mapping[str, PageFile]:
    """Return the page's files by name. Blocks."""
    found: dict[str, PageFile] = {}
    for each in files("daemon.web").joinpath("static").iterdir():
        kind = KINDS.get(PurePosixPath(each.name).suffix)
        if kind is not None:
            body = each.read_bytes()
            found[each.name] = PageFile(body, kind, hashlib.sha256(body).hexdigest()[:16])
    return found
