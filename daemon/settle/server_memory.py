"""What the ledger remembers of each server, whichever step noted it."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from ledger.entry import Meta
from ledger.task import Json

#: The section of the ledger's meta part; its keys are the servers' names.
SECTION = "servers"


class ServerMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one server, over restarts too."""

    client_id: str | None = None  # its prompts bear it, and their news are heard under it
    drained: bool = False  # an operator gives it no more work
    reachable: bool | None = None  # when it was last asked; None: it never was
    unreachable_since: str | None = None
    version: str | None = None


class View(Protocol):
    """Where it is read from."""

    def meta(self, section: str) -> Mapping[str, Json]:
        """Return a section of the ledger's meta part."""
        ...


def memory_of(view: View, name: str) -> ServerMemory:
    """Return what is remembered of the server *name*, which nobody need have noted yet."""
    return msgspec.convert(_noted(view, name), ServerMemory)


def noting(view: View, name: str, **values: Json) -> Meta:
    """Return the record of what is remembered, with *values* in it."""
    return Meta(section=SECTION, key=name, value=_noted(view, name) | values)


def _noted(view: View, name: str) -> dict[str, Json]:
    noted = view.meta(SECTION).get(name)
    return noted if isinstance(noted, dict) else {}
