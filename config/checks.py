"""Rules for a single text beyond its type. Each returns what is wrong, nothing if it holds."""

import unicodedata
from collections.abc import Callable
from urllib.parse import urlsplit

from config.faults import Fault, fault
from config.output_name import faults_of

#: Paths of ComfyUI itself, which people copy along with the address.
_ENDPOINTS = {"api", "prompt", "queue", "history", "ws", "view", "object_info", "system_stats"}


def has_control_characters(text: str) -> bool:
    """Say whether *text* holds characters that neither a path nor a header can bear."""
    return any(unicodedata.category(char) == "Cc" for char in text)


def check_name(name: str) -> tuple[Fault, ...]:
    """Check a name that stands in addresses, logs and the ledger."""
    if name and name == name.strip() and "/" not in name and "\\" not in name:
        return ()
    return (fault("name"),)


def check_url(url: str) -> tuple[Fault, ...]:
    """Check the address of a server, to which paths are appended."""
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port != 0
    except ValueError:
        return (fault("url"),)
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        return (fault("url_scheme"),)
    if parts.username is not None:
        return (fault("url_user"),)
    if any(blank in url for blank in " \t\n") or parts.query or parts.fragment:
        return (fault("url_plain"),)
    if _ENDPOINTS & set(parts.path.split("/")):
        return (fault("url_alone", address=f"{parts.scheme}://{parts.netloc}"),)
    return ()


def check_public_url(url: str) -> tuple[Fault, ...]:
    """Check the address of our own page as others know it; empty for none."""
    return check_url(url) if url else ()


def check_webhook(url: str) -> tuple[Fault, ...]:
    """Check the address of a custom bot; empty for no alerts."""
    parts = urlsplit(url) if "[" not in url else None
    if not url or (parts and parts.scheme in ("http", "https") and parts.hostname):
        return ()
    return (fault("webhook"),)


def check_node_input(target: str) -> tuple[Fault, ...]:
    """Check where a column goes: a node's title or id, a dot, the name of the node's input."""
    node, _, name = target.rpartition(".")
    if node.strip() and name.strip():
        return ()
    return (fault("node_input"),)


def check_output_name(template: str) -> tuple[Fault, ...]:
    """Check the name of a result; says everything that is wrong with it."""
    return tuple(faults_of(template))


CHECKS: dict[str, Callable[[str], tuple[Fault, ...]]] = {
    "name": check_name,
    "url": check_url,
    "public_url": check_public_url,
    "webhook": check_webhook,
    "node_input": check_node_input,
    "output_name": check_output_name,
}
