"""A value somebody gave, with where it came from."""

from pathlib import Path
from typing import TypeAlias

import msgspec

#: What TOML can hold, and tables whose values carry an origin of their own.
Raw: TypeAlias = object
Table: TypeAlias = dict[str, Raw]


class Origin(msgspec.Struct, frozen=True):
    """Why a setting has its value; ``detail`` names the variable or the file."""

    kind: str  # "default", "file", "env", "secret file"
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.detail}".strip()


DEFAULT = Origin("default")
FILE = Origin("file")


class Given(msgspec.Struct, frozen=True):
    """A value that does not stand in the file; ``base`` is what its path is relative to."""

    value: Raw
    origin: Origin
    base: Path


def plain(raw: Raw) -> Raw:
    """Return the bare value of *raw*."""
    return raw.value if isinstance(raw, Given) else raw


def quoted(key: str) -> str:
    """Return *key* as TOML writes it: bare where that is allowed."""
    bare = key.isascii() and key.replace("_", "a").replace("-", "a").isalnum()
    return key if bare else f'"{key}"'


def shown(raw: Raw, *, secret: bool = False) -> str:
    """Return *raw* as TOML would write it, cut to a line; secrets as ``***``."""
    value = plain(raw)
    if secret and value != "":
        return '"***"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{quoted(k)} = {shown(v)}" for k, v in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(shown(item) for item in value) + "]"
    elif isinstance(value, str | Path):
        text = msgspec.json.encode(str(value)).decode()
    else:
        text = str(value)
    return text
