"""What a user copied from the browser's address line: the document it leads to.

``/base/<app>?table=…&view=…``, ``/sheets/<spreadsheet>?sheet=…``, ``/wiki/<node>?…``; a wiki node
is looked up with ``GET /open-apis/wiki/v2/spaces/get_node``.
"""

from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import msgspec

from daemon.feishu.client import Api, Client

_GET_NODE = Api("wiki.get_node", "GET", "/open-apis/wiki/v2/spaces/get_node")
_KINDS = {"base": "bitable", "sheets": "sheet", "wiki": "wiki"}


class NoDocument(ValueError):
    """The link does not lead to a table; ``about`` names the words for it, ``said`` what it is."""

    def __init__(self, about: str, said: str) -> None:
        super().__init__(f"{about}: {said}")
        self.about = about
        self.said = said


class Document(msgspec.Struct, frozen=True):
    """A Bitable or a spreadsheet, and which of its tables is meant (nothing: the first)."""

    kind: str  # "bitable", "sheet", or "wiki" for one that is not looked up yet
    token: str
    table: str = ""  # tbl… of a Bitable, the sheet's id of a spreadsheet
    view: str = ""


class Node(msgspec.Struct, frozen=True):
    """A page of a wiki."""

    obj_type: str
    obj_token: str


class GetNode(msgspec.Struct, frozen=True):
    """The answer to the look-up."""

    node: Node


def read_link(link: str) -> Document:
    """Return what *link* names, as far as it says so itself; raises NoDocument."""
    parts = urlsplit(link.strip())
    steps = [step for step in parts.path.split("/") if step]
    for kind, token in pairwise(steps):
        if kind in _KINDS:
            query = parse_qs(parts.query)
            table = (query.get("table") or query.get("sheet") or [""])[0]
            return Document(_KINDS[kind], token, table, (query.get("view") or [""])[0])
    raise NoDocument("no_link", link)


def document_of(link: str) -> str:
    """Return the token in *link*, or the link itself when it leads to no table."""
    try:
        return read_link(link).token
    except NoDocument:
        return link


async def resolve(client: Client, document: Document) -> Document:
    """Return the document behind a wiki page, others as they are.

    Raises FeishuError, NoDocument.
    """
    if document.kind != "wiki":
        return document
    params = [("token", document.token)]
    node = (await client.call(_GET_NODE, GetNode, params=params)).node
    if node.obj_type not in {"bitable", "sheet"}:
        raise NoDocument("other_page", node.obj_type)
    return msgspec.structs.replace(document, kind=node.obj_type, token=node.obj_token)
