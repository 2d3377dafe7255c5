"""Rules for a single text beyond its type. Each returns what is allowed, or nothing if it holds."""

import unicodedata
from collections.abc import Callable
from urllib.parse import urlsplit

from config.output_name import faults_of

#: Paths of ComfyUI itself, which people copy along with the address.
_ENDPOINTS = {"api", "prompt", "queue", "history", "ws", "view", "object_info", "system_stats"}


def has_control_characters(text: str) -> bool:
    """Say whether *text* holds characters that neither a path nor a header can bear."""
    return any(unicodedata.category(char) == "Cc" for char in text)


def check_name(name: str) -> str | None:
    """Check a name that stands in addresses, logs and the ledger."""
    if name and name == name.strip() and "/" not in name and "\\" not in name:
        return None
    return "must be a name without slashes and outer blanks"


def check_url(url: str) -> str | None:
    """Check the address of a server, to which paths are appended."""
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port != 0
    except ValueError:
        return 'must be an address such as "http://127.0.0.1:8188"'
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        return 'must be an http or https address such as "http://127.0.0.1:8188"'
    if parts.username is not None:
        return "must hold no user and password; put an Authorization into headers instead"
    if any(blank in url for blank in " \t\n") or parts.query or parts.fragment:
        return "must be the plain address, without blanks, ? and #"
    if _ENDPOINTS & set(parts.path.split("/")):
        return f'must be the address of the server alone: "{parts.scheme}://{parts.netloc}"'
    return None


def check_public_url(url: str) -> str | None:
    """Check the address of our own page as others know it; empty for none."""
    return check_url(url) if url else None


def check_webhook(url: str) -> str | None:
    """Check the address of a custom bot; empty for no alerts."""
    parts = urlsplit(url) if "[" not in url else None
    if not url or (parts and parts.scheme in ("http", "https") and parts.hostname):
        return None
    return "must be the https address of the bot's hook, or empty"


def check_node_input(target: str) -> str | None:
    """Check where a column goes: a node's title or id, a dot, the name of the node's input."""
    node, _, name = target.rpartition(".")
    if node.strip() and name.strip():
        return None
    return 'must be "node title or id.input name", as in "sampler.seed"'


def check_output_name(template: str) -> str | None:
    """Check the name of a result; says everything that is wrong with it."""
    return "; ".join(faults_of(template)) or None


CHECKS: dict[str, Callable[[str], str | None]] = {
    "name": check_name,
    "url": check_url,
    "public_url": check_public_url,
    "webhook": check_webhook,
    "node_input": check_node_input,
    "output_name": check_output_name,
}
