"""What result files are called (pure).

Whatever a row says, a name never leaves the outputs folder, fits every common file system, and is
the same each time it is made for the same task.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from pathlib import PurePosixPath

import msgspec

from config.output_name import SPEC, parts_of
from ledger.task import Json, Task

#: File systems allow 255; the rest is room for what a download adds (``.part`` and its note).
MAX_COMPONENT_BYTES = 240

#: What tasks know of themselves, by the name that templates call it.
_KNOWN: dict[str, Callable[[Task], Json]] = {
    "batch": attrgetter("batch_id"),
    "task_id": attrgetter("task_id"),
    "row_id": attrgetter("row_id"),
    "row_number": attrgetter("row_number"),
    "product_name": attrgetter("product_name"),
    "model_name": attrgetter("model_name"),
    "workflow_type": attrgetter("workflow_type"),
    "attempt": attrgetter("attempt"),
}
_KEPT_WHOLE = frozenset({"index", "ext", "task_id"})
#: What most values are made of: letters and digits, Chinese ones too, that NFC leaves alone.
_HARMLESS = re.compile(r"[A-Za-z0-9_.\- \u4e00-\u9fff]*")
#: Such text with harmless edges, so short that it fits whatever it is written in.
_PLAIN = re.compile(
    r"[A-Za-z0-9_\-\u4e00-\u9fff]"
    r"(?:[A-Za-z0-9_.\- \u4e00-\u9fff]{0,76}[A-Za-z0-9_\-\u4e00-\u9fff])?"
)
_DIGITS = re.compile(r"\s*\d{1,18}\s*")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}")
_FORBIDDEN = frozenset('/\\:*?"<>|')
_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_EDGES = re.compile(r"^[\s.]+|[\s.]+$")
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE
)


class Placeholder(msgspec.Struct, frozen=True):
    """Where a value goes, and how it is written."""

    field: str
    spec: str  # "" for plain text

    @property
    def is_kept_whole(self) -> bool:
        """Whether its value is never cut to make the component fit."""
        return self.field in _KEPT_WHOLE


class Piece(msgspec.Struct, kw_only=True):
    """A stretch of a path component: the template's own text or a filled placeholder."""

    text: str
    keep: bool = False  # never cut to make the component fit


def output_path(template: str, task: Task, index: int, ext: str) -> str:
    """Return the relative path of the task's *index*-th result; *ext* begins with a dot.

    Slashes of *template* make folders, those in values never do. Each component has at most
    MAX_COMPONENT_BYTES bytes; long values are cut, index and extension are kept.
    """
    known: dict[str, Json] = {"index": index, "ext": _extension(ext)}
    names: list[str] = []
    for parts in _components(template):
        texts = [
            part.text if isinstance(part, Piece) else _value(part, known, task) for part in parts
        ]
        # A component with a placeholder has two parts or more, and stays when all are empty.
        if len(parts) > 1 or texts[0]:
            names.append(_name(parts, texts))
    return "/".join(names)


def _name(parts: Sequence["Piece | Placeholder"], texts: Sequence[str]) -> str:
    """Return the component that the *texts* of its *parts* make."""
    joined = "".join(texts)
    if _PLAIN.fullmatch(joined) and not _RESERVED.fullmatch(joined):  # as most are
        return joined
    return _fitted(
        [
            Piece(text=_safe(text), keep=isinstance(part, Placeholder) and part.is_kept_whole)
            for part, text in zip(parts, texts, strict=True)
        ]
    )


@cache  # one template names all results
def _components(template: str) -> tuple[tuple[Piece | Placeholder, ...], ...]:
    """Return what each path component is made of; only slashes of *template* itself part them."""
    components: list[list[Piece | Placeholder]] = [[]]
    for literal, field, spec in parts_of(template):
        first, *others = literal.split("/")
        components[-1].append(Piece(text=_safe(first)))
        components.extend([Piece(text=_safe(other))] for other in others)
        if field is not None:
            components[-1].append(Placeholder(field, spec if SPEC.fullmatch(spec) else ""))
    return tuple(map(tuple, components))


def _value(part: Placeholder, known: Mapping[str, Json], task: Task) -> str:
    if (get := _KNOWN.get(part.field)) is not None:
        return _formatted(get(task), part.spec)
    value = known[part.field] if part.field in known else _column(task, part.field)
    return _formatted(value, part.spec)


def with_suffix(path: str, task_id: str) -> str:
    """Return *path* with the task's id before the extension, for when *path* is taken."""
    before = PurePosixPath(path)
    pieces = [
        Piece(text=before.stem),
        Piece(text="_" + _safe(task_id), keep=True),
        Piece(text=before.suffix, keep=True),
    ]
    return str(before.with_name(_fitted(pieces)))


def _column(task: Task, name: str) -> Json:
    """Return what the row says in a column of its own; None when it lacks it."""
    return task.row.get(name, task.parameters.get(name))


def _formatted(value: Json, spec: str) -> str:
    """Return *value* by *spec* where it fits (``04d`` and a number), else as plain text."""
    if value is None:
        return ""
    if not spec:
        return str(value)
    if isinstance(value, str) and spec.endswith("d") and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, str | int | float):
        try:
            return format(value, spec)
        except ValueError:
            return str(value)
    return str(value)


def _extension(ext: str) -> str:
    """Return *ext* when it is a plain extension, else nothing: servers may send anything."""
    return ext.lower() if _EXTENSION.fullmatch(ext) else ""


def _safe(text: str) -> str:
    """Return *text* in NFC with every character that some file system refuses as ``_``."""
    if _HARMLESS.fullmatch(text):
        return text
    return "".join(
        "_" if char in _FORBIDDEN or _is_unprintable(char) else char
        for char in unicodedata.normalize("NFC", text)
    )


def _is_unprintable(char: str) -> bool:
    return char in _BIDI or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")


def _fitted(pieces: list[Piece]) -> str:
    """Return the pieces as one path component, the longest cut until it fits."""
    if len((name := _component(pieces)).encode()) <= MAX_COMPONENT_BYTES:
        return name
    pieces = [
        Piece(text=_cut(piece.text, MAX_COMPONENT_BYTES), keep=piece.keep) for piece in pieces
    ]
    while (excess := len((name := _component(pieces)).encode()) - MAX_COMPONENT_BYTES) > 0:
        cuttable = [piece for piece in pieces if not piece.keep and piece.text] or pieces
        longest, *others = sorted(cuttable, key=_size_bytes, reverse=True)
        ahead = _size_bytes(longest) - (_size_bytes(others[0]) if others else 0)
        longest.text = _cut(longest.text, _size_bytes(longest) - min(excess, max(ahead, 4)))
    return name


def _size_bytes(piece: Piece) -> int:
    return len(piece.text.encode())


def _cut(text: str, size_bytes: int) -> str:
    """Return the longest beginning of *text* within *size_bytes*, cut between characters."""
    return text.encode()[: max(0, size_bytes)].decode(errors="ignore")


def _component(pieces: list[Piece]) -> str:
    """Return the pieces joined, as a name that means nothing special to any system."""
    joined = unicodedata.normalize("NFC", "".join(piece.text for piece in pieces))
    name = _EDGES.sub("", joined)
    if not name:
        return "_"
    return f"_{name}" if _RESERVED.fullmatch(name) else name
