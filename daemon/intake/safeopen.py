"""Opening files that others name or put there, without ever being led out of a folder."""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePath

from daemon.intake.errors import BadPicture

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class NotAFile(OSError):
    """What lies there is no regular file: a link, pipe, device or folder."""


def open_inside(base: Path, relative: PurePath) -> int:
    """Return a descriptor for reading the regular file *relative* to *base*.

    No part of *relative* may be a link: what was checked is what is opened, even if somebody
    swaps folders meanwhile. Raises OSError, NotAFile for anything but a regular file; a pipe
    or device is not opened at all.
    """
    folder = os.open(base, _FOLDER)
    try:
        for part in relative.parts[:-1]:
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        name = relative.parts[-1]
        _insist_on_file(os.stat(name, dir_fd=folder, follow_symlinks=False))
        descriptor = os.open(name, _FILE, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        _insist_on_file(os.fstat(descriptor))
    except NotAFile:
        os.close(descriptor)
        raise
    return descriptor


def _insist_on_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotAFile(errno.EINVAL, kind_of(status.st_mode))


def kind_of(mode: int) -> str:
    """Return what a file is, in words, from its ``st_mode``."""
    kinds = (
        (stat.S_ISREG, "a file"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISLNK, "a link"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((words for is_kind, words in kinds if is_kind(mode)), "a device")


def place_of(named: str, root: Path, allow: Sequence[Path]) -> tuple[Path, PurePath]:
    """Return the folder that *named* may be read in, and its path from there, links resolved.

    *named* is relative to *root* or absolute; what it leads to must lie in *root* or a folder of
    *allow*. Raises BadPicture otherwise.
    """
    if "\0" in named:
        raise BadPicture("its path holds a NUL character")
    written = named if "\\" not in named else named.replace("\\", "/")  # as Windows writes it
    try:
        actual = Path(os.path.realpath(root / written))
        bases = [Path(os.path.realpath(base)) for base in (root, *allow)]
    except (OSError, ValueError) as error:
        raise BadPicture("its path cannot be followed") from error
    for base in bases:
        if actual != base and actual.is_relative_to(base):
            return base, actual.relative_to(base)
    plain = Path(os.path.normpath(bases[0] / written))
    if plain.is_relative_to(bases[0]):
        raise BadPicture("it is a link that leads out of the drop")
    raise BadPicture("its path leads out of the drop, and inputs.allow does not name that folder")


def open_picture(named: str, root: Path, allow: Sequence[Path]) -> int:
    """Return a descriptor for reading the picture *named*; see ``place_of`` for what may be.

    Raises BadPicture with the reason.
    """
    base, relative = place_of(named, root, allow)
    try:
        return open_inside(base, relative)
    except OSError as error:
        raise BadPicture(reason_of(error)) from error


def reason_of(error: OSError) -> str:
    """Return in words why a file could not be opened or read; without its path."""
    if isinstance(error, NotAFile):
        return f"it is no file but {error.strerror}"
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return "it is not there"
        case errno.EACCES | errno.EPERM:
            return "the daemon may not read it (permission denied)"
        case errno.ELOOP:
            return "it is a link"
        case errno.ENAMETOOLONG:
            return "its path is too long"
        case _:
            return f"it cannot be read ({os.strerror(error.errno or errno.EIO)})"
