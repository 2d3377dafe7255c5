"""`submit`'s way into the inbox: files come in whole, as one drop, over no existing name."""

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePath

import msgspec

from daemon.durable import sync_file, sync_folder
from daemon.intake.columns import HEADINGS
from daemon.intake.drops import OUR_FOLDERS, never_touched
from daemon.intake.errors import Unreadable
from daemon.intake.grid import RawRow
from daemon.intake.jobfile import JOB_SUFFIXES, read_job_file

_PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
#: What renaming a folder says of a name that a folder with files, or a file, has by now.
_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})
#: No drop takes so long to copy.
_ABANDONED_SECONDS = 24 * 3600.0


class CannotSubmit(Exception):
    """The files make no drop; ``word`` is a key of the catalogue, ``values`` fill it."""

    def __init__(self, word: str, **values: object) -> None:
        super().__init__(word)
        self.word = word
        self.values = values


class Drop(msgspec.Struct, frozen=True):
    """What becomes one entry of the inbox: a file (no ``folder``), or a folder with members."""

    name: str
    members: tuple[tuple[Path, PurePath], ...]  # source, place inside the drop
    folder: bool
    lines: frozenset[int] = frozenset()  # of the rows of its job file, if it could be read


def plan_drops(
    paths: Sequence[Path],
    columns: Iterable[str] = (),
    own: Iterable[Path] = (),
    secret: Iterable[Path] = (),
) -> list[Drop]:
    """Return the drops that *paths* make; raises CannotSubmit.

    A folder is a drop. A job file with pictures, given beside it or named by its rows and lying
    below its own folder, becomes one folder. Job files without pictures are a drop each.
    *columns* mean something besides the usual ones. A folder that holds one of the daemon's *own*
    places, or lies in one, is refused: its copy would hold the ledger, or the admin token. So is
    whatever would copy one of the *secret* files, by whatever name.
    """
    known = frozenset(HEADINGS).union(columns)
    for path in paths:
        if not path.exists():
            raise CannotSubmit("submit.missing", name=path)
        if never_touched(path.name):
            raise CannotSubmit("submit.hidden", name=path)
    folders = [path for path in paths if path.is_dir()]
    for folder in folders:
        _refuse_ours(folder, own)
    jobs = [path for path in paths if path.is_file() and path.suffix.lower() in JOB_SUFFIXES]
    loose = [path for path in paths if path not in folders and path not in jobs]
    if loose and not jobs:
        raise CannotSubmit("submit.no_job")
    if loose and len(jobs) > 1:
        raise CannotSubmit("submit.many_jobs", names=", ".join(job.name for job in jobs))
    whole = [_folder_drop(folder, known) for folder in folders]
    drops = [*whole, *(_job_drop(job, loose, known) for job in jobs)]
    for source in (source for drop in drops for source, _ in drop.members):
        _refuse_secret(source, secret)
    return drops


def place(drop: Drop, inbox: Path, now: Callable[[], float] = time.time) -> str:
    """Put *drop* into *inbox* and return the name it got there.

    A crash leaves either nothing that the inbox would take, or the whole drop; what was half
    written lies under a name beginning with ``.submit-``, and goes with a later drop.
    """
    inbox.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(inbox, now() - _ABANDONED_SECONDS)
    hidden = inbox / f".submit-{secrets.token_hex(6)}.part"
    try:
        if drop.folder:
            hidden.mkdir()
        for source, inside in drop.members:
            target = hidden / inside if drop.folder else hidden
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            times = source.stat()  # what was written long ago need not settle in the inbox
            os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
            sync_file(target)
        for folder in [hidden, *hidden.rglob("*")] if drop.folder else []:
            if folder.is_dir():
                sync_folder(folder)
        name = _rename_to_free_name(hidden, inbox, drop.name)
    except BaseException:
        _remove(hidden)
        raise
    sync_folder(inbox)
    return name


def _remove_abandoned(inbox: Path, before: float) -> None:
    """Remove what commands that were killed had begun to copy, if nothing was done to it since.

    By the time of its change: that of its content is the original's.
    """
    for hidden in inbox.glob(".submit-*.part"):
        with contextlib.suppress(OSError):  # another command is at it, or it is not ours to remove
            if hidden.lstat().st_ctime < before:
                _remove(hidden)


def _remove(hidden: Path) -> None:
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.unlink(missing_ok=True)


def _refuse_ours(folder: Path, own: Iterable[Path]) -> None:
    where = folder.resolve()
    for place in own:
        resolved = place.resolve()
        if resolved.is_relative_to(where) or where.is_relative_to(resolved):
            raise CannotSubmit("submit.ours", name=folder, own=place)


def _refuse_secret(source: Path, secret: Iterable[Path]) -> None:
    for path in secret:
        if path.exists() and source.samefile(path):
            raise CannotSubmit("submit.secret", name=source)


def _folder_drop(folder: Path, columns: frozenset[str]) -> Drop:
    folder = folder.absolute()
    members = tuple(
        (path, path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not never_touched(path.name)
    )
    above = [(path, at) for path, at in members if len(at.parts) == 1]
    jobs = [path for path, at in above if at.suffix.lower() in JOB_SUFFIXES]
    if not jobs:
        raise CannotSubmit("submit.no_job")
    rows = _rows_of(jobs[0], columns) if len(jobs) == 1 else ()
    lines = frozenset(row.line for row in rows)
    return Drop(folder.resolve().name, members, folder=True, lines=lines)


def _job_drop(job: Path, loose: Sequence[Path], columns: frozenset[str]) -> Drop:
    rows = _rows_of(job, columns)
    lines = frozenset(row.line for row in rows)
    pictures = list(dict.fromkeys([*loose, *_named_pictures(job, rows)]))
    if not pictures:
        return Drop(job.name, ((job, PurePath(job.name)),), folder=False, lines=lines)
    home = job.absolute().parent
    members = {PurePath(job.name): job}
    for picture in pictures:
        where = picture.absolute()
        inside = PurePath(where.relative_to(home) if where.is_relative_to(home) else where.name)
        if inside in members and members[inside].absolute() != where:
            raise CannotSubmit("submit.same_name", name=inside)
        members[inside] = picture
    name = job.name.removesuffix(job.suffix)
    sources = tuple((source, inside) for inside, source in members.items())
    return Drop(name, sources, folder=True, lines=lines)


def _rows_of(job: Path, columns: frozenset[str]) -> Sequence[RawRow]:
    try:
        return read_job_file(job.name, job.read_bytes(), columns).rows
    except Unreadable:
        return ()  # the inbox will say why


def _named_pictures(job: Path, rows: Iterable[RawRow]) -> list[Path]:
    """Return the pictures below the job file's folder that its cells name."""
    cells = dict.fromkeys(cell for row in rows for cell in _texts(row.values.values()))
    named = [job.parent / cell for cell in cells]
    return [path for path in named if path.is_file()]


def _texts(values: Iterable[object]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str) and PurePath(value).suffix.lower() in _PICTURE_SUFFIXES:
            written = value.replace("\\", "/")  # as Windows writes it; the inbox reads it so too
            path = PurePath(written)
            if not path.is_absolute() and ".." not in path.parts and "\0" not in value:
                yield written


def _rename_to_free_name(hidden: Path, inbox: Path, wanted: str) -> str:
    stem, dot, rest = wanted.partition(".")
    for number in range(1, 10_000):
        name = wanted if number == 1 else f"{stem}-{number}{dot}{rest}"
        target = inbox / name
        if name in OUR_FOLDERS or target.exists() or target.is_symlink():
            continue
        if hidden.is_dir():
            try:
                hidden.rename(target)
            except OSError as error:
                if error.errno in _TAKEN:  # another command was quicker
                    continue
                raise
            return name
        try:
            os.link(hidden, target)  # unlike a rename, never over an existing name
        except FileExistsError:
            continue
        except OSError:  # a file system without hard links
            hidden.rename(target)
            return name
        hidden.unlink()
        return name
    raise FileExistsError(f"{inbox} is full of files called {wanted}")
