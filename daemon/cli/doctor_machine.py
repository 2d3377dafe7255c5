"""What `check` finds on this machine: settings, folders, lock, ledger, disk."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from config.load import Loaded
from config.settings import Settings
from daemon.cli.check_line import CheckLine, Level
from daemon.words import Words
from daemon.words.retelling import LEDGER, in_each_language
from daemon.words.values import size
from ledger.jsondir.holder import read_holder
from ledger.jsondir.lock import is_locked
from ledger.state import State

#: Less free space than this ends writing soon, and soon at all.
_NO_SPACE_BYTES, _LITTLE_SPACE_BYTES = 200 * 2**20, 2 * 2**30


def look_at_machine(loaded: Loaded, words: Words) -> Iterator[CheckLine]:
    """Yield what can be said of settings, folders, lock, ledger and disk; changes nothing."""
    settings = loaded.settings
    file = words("check.settings", file=loaded.file) if loaded.file else words("check.no_file")
    yield CheckLine(level="ok", name="config", message=file)
    folders = {
        "state_dir": settings.state_dir,
        "inbox": settings.inbox.path,
        "ledger": settings.ledger.path,
        "outputs": settings.outputs.path,
        "inputs": settings.inputs.path,
    }
    for name, path in folders.items():
        yield _folder(name, path, words)
    yield _lock(settings, words)
    for path in _one_of_each_disk(folders.values()):
        yield _disk(path, words)


def look_at_ledger(state: State, settings: Settings, words: Words) -> Iterator[CheckLine]:
    """Yield what is wrong with the ledger, or that nothing is."""
    for what in state.damage:
        message = words("check.ledger_damaged", what=in_each_language(what, LEDGER))
        yield CheckLine(level="fail", name="ledger", message=message)
    if not state.damage:
        known = settings.ledger.path.is_dir()
        message = words("check.ledger_absent")
        if known:
            message = words("check.ledger_ok", tasks=len(state.tasks), batches=len(state.batches))
        yield CheckLine(level="ok", name="ledger", message=message)


def look_at_leftovers(settings: Settings, words: Words) -> Iterator[CheckLine]:
    """Yield what a restore or repair has kept aside; only a person knows how long it is wanted."""
    ledger = settings.ledger.path
    aside = [*_named(ledger.parent, f"{ledger.name}.lost-"), *_named(ledger, ".corrupt-")]
    if aside:
        sizes = (each.stat().st_size for path in aside for each in (path, *path.rglob("*")))
        names = ", ".join(path.name for path in aside)
        values = {"path": ledger.parent, "names": names, "size": size(sum(sizes))}
        yield CheckLine(level="warn", name="ledger", message=words("check.kept_aside", **values))


def _named(folder: Path, part: str) -> list[Path]:
    """Return what lies in *folder* with *part* in its name, in the order of the names."""
    return sorted(path for path in folder.iterdir() if part in path.name) if folder.is_dir() else []


def _folder(name: str, path: Path, words: Words) -> CheckLine:
    if path.is_dir():
        above, key = path, "check.folder"
    else:
        above, key = _nearest_existing(path), "check.folder_missing"
    reason = ""
    if (path.exists() and not path.is_dir()) or not above.is_dir():
        reason = words("check.no_folder")
    elif not os.access(above, os.W_OK | os.X_OK):
        reason = words("check.no_right")
    if reason:
        message = words("check.folder_bad", path=path, reason=reason)
        return CheckLine(level="fail", name=name, message=message)
    return CheckLine(level="ok", name=name, message=words(key, path=path))


def _lock(settings: Settings, words: Words) -> CheckLine:
    holder = read_holder(settings.ledger.path)
    if holder is None:
        is_held = is_locked(settings.ledger.path)
        message = words("check.lock_unnamed" if is_held else "check.lock_free")
    else:
        message = words("check.lock_held", pid=holder.pid, host=holder.host, since=holder.since)
    return CheckLine(level="ok", name="lock", message=message)


def _disk(path: Path, words: Words) -> CheckLine:
    free_bytes = shutil.disk_usage(path).free
    free = size(free_bytes)
    if free_bytes >= _LITTLE_SPACE_BYTES:
        return CheckLine(level="ok", name="disk", message=words("check.disk", path=path, free=free))
    level: Level = "fail" if free_bytes < _NO_SPACE_BYTES else "warn"
    return CheckLine(
        level=level, name="disk", message=words("check.disk_low", path=path, free=free)
    )


def _one_of_each_disk(paths: Iterable[Path]) -> list[Path]:
    disks: dict[int, Path] = {}
    for path in paths:
        above = _nearest_existing(path)
        disks.setdefault(above.stat().st_dev, above)
    return list(disks.values())


def _nearest_existing(path: Path) -> Path:
    return next(above for above in (path, *path.parents) if above.exists())
