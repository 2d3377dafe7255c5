"""What keeps work from going on, as it is seen without asking a daemon."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from config.settings import Settings
from daemon.concern import Concern
from daemon.disks import on_full_disks
from daemon.web.address import address_in
from ledger.jsondir.holder import read_holder
from ledger.task import Json

_OURS = frozenset({"accepted", "rejected", "duplicates"})


def concerns_on_disk(
    settings: Settings, drops: Mapping[str, Json], now: datetime
) -> Sequence[Concern]:
    """Return what a person should do about the inbox; *drops*: the ledger's section of that name.

    Mostly there is no folder, and so no need to look at each drop.
    """
    if not drops and not _has_folders(settings.inbox.path):
        return ()
    from daemon.intake.leftovers import lying_there  # noqa: PLC0415 - slow to import, seldom wanted

    return lying_there(settings.inbox, drops, now)


def starting_concerns(settings: Settings) -> list[Concern]:
    """Return that a process holds the ledger which has opened no door: a daemon that starts."""
    try:
        holder, address = read_holder(settings.ledger.path), address_in(settings.state_dir)
    except PermissionError:  # there is a door; it is another user's
        return []
    if holder is None or (address is not None and address.pid == holder.pid):
        return []
    return [Concern("concern.starting", {"pid": str(holder.pid)})]


def daemon_runs(settings: Settings) -> bool:
    """Say whether a process holds the ledger; one of which we may not know may well do."""
    try:
        return read_holder(settings.ledger.path) is not None
    except PermissionError:
        return True


def full_disk_concerns(settings: Settings) -> list[Concern]:
    """Return where there is no room for the ledger: a daemon that is started waits for it."""
    full = on_full_disks((settings.ledger.path, settings.state_dir))
    return [Concern("concern.ledger", {"path": str(path)}) for path in full]


def _has_folders(inbox: Path) -> bool:
    """Say whether there is a folder besides our own in the inbox."""
    try:
        with os.scandir(inbox) as entries:
            return any(e.name not in _OURS and e.is_dir(follow_symlinks=False) for e in entries)
    except OSError:
        return False
