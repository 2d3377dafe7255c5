"""Who has a document open in a spreadsheet program, told by the lock files that they make."""

from pathlib import Path


def opened_by(path: Path) -> str | None:
    """Return who has *path* open ("" when the lock does not say), or None when nobody has.

    Excel and WPS put ``~$name`` (or ``.~name``) beside it, LibreOffice ``.~lock.name#``; all
    remove it when they close.
    """
    for lock in (f"~${path.name}", f".~{path.name}"):
        if (name := _read(path.with_name(lock))) is not None:
            return _excel_user(name)
    if (content := _read(path.with_name(f".~lock.{path.name}#"))) is not None:
        names = content.decode("utf-8", "replace").split(",")[:2]  # the person's, the account's
        return next((name.strip() for name in names if name.strip()), "")
    return None


def _read(lock: Path) -> bytes | None:
    try:
        return lock.read_bytes()[:512]
    except FileNotFoundError:
        return None
    except OSError:
        return b""


def _excel_user(content: bytes) -> str:
    """Return the name in Excel's lock: its length in one byte, then the name."""
    length = content[0] if content else 0
    for encoding in ("utf-8", "gb18030"):
        try:
            return content[1 : 1 + length].decode(encoding).strip(" \0")
        except UnicodeDecodeError:
            continue
    return ""
