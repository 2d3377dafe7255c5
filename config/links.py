"""Addresses copied from a browser, fit to be shown: they may bear a login or a token."""

from urllib.parse import SplitResult, parse_qsl, urlsplit

#: What says which table of a document is meant, and opens nothing to anybody.
_PLAIN = frozenset({"table", "view", "sheet"})
HIDDEN = "***"


def link_shown(link: str) -> str:
    """Return *link* with ``***`` for a login, for the query but its table, and for the fragment.

    One that has none of these stays as it is.
    """
    try:
        parts = urlsplit(link)
    except ValueError:
        return HIDDEN
    query = parse_qsl(parts.query, keep_blank_values=True)
    if "@" not in parts.netloc and not parts.fragment and all(name in _PLAIN for name, _ in query):
        return link
    _, login_ends, host = parts.netloc.rpartition("@")
    netloc = f"{HIDDEN}@{host}" if login_ends else host
    shown = "&".join(_shown(name, value) for name, value in query)
    fragment = HIDDEN if parts.fragment else ""
    return SplitResult(parts.scheme, netloc, parts.path, shown, fragment).geturl()


def _shown(name: str, value: str) -> str:
    if name in _PLAIN:
        return f"{name}={value}"
    return f"{name}={HIDDEN}" if value else HIDDEN  # a name alone may be the secret
