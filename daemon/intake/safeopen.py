"""Opening files that others name or put there, without ever being led out of a folder."""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePath

from daemon.intake.errors import BadPicture
from daemon.intake.reasons import Reason, because
from daemon.words.retelling import SYSTEM, in_each_language

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class NotAFile(OSError):
    """What lies there is no regular file: a link, pipe, device or folder."""

    def __init__(self, kind: Reason) -> None:
        super().__init__(errno.EINVAL, kind.code)
        self.kind = kind


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
        raise NotAFile(kind_of(status.st_mode))


def kind_of(mode: int) -> Reason:
    """Return what a file is, from its ``st_mode``."""
    kinds = (
        (stat.S_ISREG, "a_file"),
        (stat.S_ISDIR, "a_folder"),
        (stat.S_ISLNK, "a_link"),
        (stat.S_ISFIFO, "a_pipe"),
        (stat.S_ISSOCK, "a_socket"),
    )
    return because(next((code for is_kind, code in kinds if is_kind(mode)), "a_device"))


def place_of(named: str, root: Path, allow: Sequence[Path]) -> tuple[Path, PurePath]:
    """Return the folder that *named* may be read in, and its path from there, links resolved.

    *named* is relative to *root* or absolute; what it leads to must lie in *root* or a folder of
    *allow*. Raises BadPicture otherwise.
    """
    if "\0" in named:
        raise BadPicture("path_nul")
    written = named if "\\" not in named else named.replace("\\", "/")  # as Windows writes it
    try:
        actual = Path(os.path.realpath(root / written))
        bases = [Path(os.path.realpath(base)) for base in (root, *allow)]
    except (OSError, ValueError) as error:
        raise BadPicture("path_broken") from error
    for base in bases:
        if actual != base and actual.is_relative_to(base):
            return base, actual.relative_to(base)
    plain = Path(os.path.normpath(bases[0] / written))
    if plain.is_relative_to(bases[0]):
        raise BadPicture("link_leads_out")
    raise BadPicture("path_leads_out")


def open_picture(named: str, root: Path, allow: Sequence[Path]) -> int:
    """Return a descriptor for reading the picture *named*; see ``place_of`` for what may be.

    Raises BadPicture with the reason.
    """
    base, relative = place_of(named, root, allow)
    try:
        return open_inside(base, relative)
    except OSError as error:
        raise BadPicture.because(reason_of(error)) from error


def reason_of(error: OSError) -> Reason:
    """Return why a file could not be opened or read; without its path."""
    if isinstance(error, NotAFile):
        return because("no_file", kind=error.kind)
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return because("not_there")
        case errno.EACCES | errno.EPERM:
            return because("denied")
        case errno.ELOOP:
            return because("is_link")
        case errno.ENAMETOOLONG:
            return because("path_too_long")
        case _:
            number = error.errno or errno.EIO
            return because("read_failed", why=in_each_language(os.strerror(number), SYSTEM))
