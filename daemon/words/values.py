"""Values as people read them: text on one line, moments on the local clock, amounts of bytes."""

import unicodedata
from datetime import datetime


def printable(text: str) -> str:
    """Return *text* on one line, without characters that would steer a terminal."""
    text = " ".join(text.split())
    if text.isprintable():  # nearly always, and a look at each character takes long
        return text
    return "".join(char if unicodedata.category(char) != "Cc" else "�" for char in text)


def visible(value: object) -> object:
    """Return *value*; text that nobody would see in a sentence stands in quotes."""
    return f"“{value}”" if isinstance(value, str) and not value.strip() else value


def local_time(timestamp: str | None) -> str:
    """Return a moment of the ledger as the clock on the wall shows it."""
    if timestamp is None:
        return ""
    return datetime.fromisoformat(timestamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size(size_bytes: float) -> str:
    """Return an amount of bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:  # noqa: PLR2004 - the step from one unit to the next
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"
