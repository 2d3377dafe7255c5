"""Makes what a server says fit to be shown: one short line, no traceback, no path of the server."""

import re

#: Longer texts are cut: the message lands in a table cell.
LONGEST_MESSAGE_CHARACTERS = 500
_LONGEST_READ_CHARACTERS = 20_000  # a node may put a whole log into its message

_QUOTED_PATH = re.compile(r"""(['"`])(?:file://)?(?:~?/|[A-Za-z]:[\\/]|\\\\)([^'"`\n]*)\1""")
_POSIX_PATH = re.compile(
    r"(?:file://|(?<![\w.:/\\>)\]]))~?/(?:[^\s/'\"`<>|:;,()]+/)+([^\s/'\"`<>|:;,()]*)"
)
_WINDOWS_PATH = re.compile(
    r"(?:(?<![A-Za-z])[A-Za-z]:[\\/]|(?<![\w\\])\\\\)(?:[^\\/'\"`<>|:;,()\n]+[\\/])*"
    r"([^\s\\/'\"`<>|:;,()]*)"
)
_INSTALL_PATH = re.compile(r"<ComfyUI>(?:[\\/][^\s\\/'\"`<>|:;,()]+)*[\\/]([^\s\\/'\"`<>|:;,()]*)")
_TRACE_LINE = re.compile(r"""^\s*(?:File ".*", line \d+|[\^~]+\s*$)""")


def cleaned(text: str, longest: int = LONGEST_MESSAGE_CHARACTERS) -> str:
    """Return *text* as one line of at most *longest* characters, paths cut to the file's name."""
    line = " ".join(without_traceback(text[:_LONGEST_READ_CHARACTERS]).split())
    return shortened(without_paths(line), longest)


def shortened(text: str, longest: int) -> str:
    """Return *text*, cut with an ellipsis when it is longer than *longest*."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def without_traceback(text: str) -> str:
    """Drop Python tracebacks, keeping the line that names the exception."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.lstrip().startswith("Traceback (most recent call last)"):
            inside = True
        elif inside and (line[:1].isspace() or not line):
            continue
        elif not _TRACE_LINE.match(line):
            inside = False
            kept.append(line)
    return "\n".join(kept)


def without_paths(text: str) -> str:
    """Replace every absolute path by the name of the file it ends in."""
    text = _QUOTED_PATH.sub(lambda match: match[1] + _last_part(match[2]) + match[1], text)
    for pattern in (_INSTALL_PATH, _WINDOWS_PATH, _POSIX_PATH):
        text = pattern.sub(lambda match: match[1] or "…", text)
    return text


def _last_part(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]
