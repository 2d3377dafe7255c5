"""What lies in the inbox, and what of it is one drop.

A job file in the inbox is a drop; pictures that lie beside it are shared by all job files there
and stay when it moves. A sub-folder with a job file is a drop, and moves as a whole with all that
is in it. A sub-folder without one is left alone: it may still be on its way, or hold pictures; one
with a workbook of another kind is refused as that workbook alone would be.
"""

import heapq
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from daemon.intake.jobfile import JOB_SUFFIXES
from daemon.intake.reasons import Reason, because
from daemon.intake.safeopen import kind_of
from daemon.intake.settling import Sight

ACCEPTED, REJECTED, DUPLICATES = OUR_FOLDERS = ("accepted", "rejected", "duplicates")
_UNFINISHED = (".tmp", ".part", ".crdownload", ".swp")
#: Files that people take for job files; they get an answer instead of silence.
_NEARLY_JOBS = frozenset({".xls", ".xlsm", ".xlsb", ".ods", ".et", ".numbers", ".tsv", ".txt"})
#: Those that nobody puts beside a job file to come, as people do with notes.
_NEARLY_JOBS_IN_FOLDERS = _NEARLY_JOBS - {".txt"}
MAX_FILES_IN_A_DROP = 20_000
#: Drops looked at closely in one look; the rest is counted. So memory does not grow with what
#: lies there, and the next look comes as soon as these are taken.
DROPS_LOOKED_AT = 2048


class DropPlace(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a drop lies, and how its files looked when it was found."""

    name: str  # of the file or folder in the inbox
    job: Path | None  # the job file, relative to the inbox; None when there is no telling
    sight: Sight  # of the job file, else of the entry itself
    files: dict[Path, Sight]  # all that must come to rest, relative to the inbox
    problem: Reason | None = None  # why it is refused unread


class JoblessFolder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A sub-folder of the inbox without a job file of its own."""

    name: str
    changed_at: float  # seconds since the epoch: when something in it last came or was written
    job_below: str = ""  # a job file that lies deeper, relative to the folder


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One look into the inbox."""

    places: tuple[DropPlace, ...]  # the longest unchanged first
    waiting_folders: tuple["JoblessFolder", ...]  # in which a job file may yet appear
    beyond: int  # further entries, younger than ``places``, that may be drops
    inode: int  # of the inbox itself


def find_drops(
    inbox: Path, *, known: Collection[str] = frozenset(), at_most: int = DROPS_LOOKED_AT
) -> Found:
    """Return what lies in *inbox*: the oldest *at_most* drops, and those *known* by their names.

    Costs one ``stat`` an entry; opens nothing. Raises OSError when the inbox itself cannot be
    read.
    """
    beside: list[os.DirEntry[str]] = []
    candidates = _Candidates(inbox, known, beside)
    oldest = [entry for _, _, entry in heapq.nsmallest(at_most, candidates)]
    places: list[DropPlace] = []
    waiting_folders: list[JoblessFolder] = []
    for entry in (*beside, *oldest):
        try:
            match _place(inbox, entry):
                case DropPlace() as place:
                    places.append(place)
                case JoblessFolder() as folder:
                    waiting_folders.append(folder)
        except FileNotFoundError:
            continue
    places.sort(key=lambda place: (place.sight.mtime_ns, place.name))
    return Found(
        places=tuple(places),
        waiting_folders=tuple(waiting_folders),
        beyond=candidates.count - len(oldest),
        inode=inbox.stat().st_ino,
    )


def find_named(inbox: Path, names: Sequence[str]) -> list[DropPlace]:
    """Return the drops in *inbox* that are called *names*, in that order; others are not opened.

    Raises OSError when the inbox itself cannot be read.
    """
    with os.scandir(inbox) as entries:
        lying = {entry.name: entry for entry in entries if entry.name in names}
    places: list[DropPlace] = []
    for name in filter(lying.__contains__, names):
        try:
            place = _place(inbox, lying[name])
        except FileNotFoundError:
            continue
        if isinstance(place, DropPlace):
            places.append(place)
    return places


class _Candidates:
    """The entries of the inbox that may be drops, those *known* put into *beside* instead."""

    def __init__(self, inbox: Path, known: Collection[str], beside: list[os.DirEntry[str]]) -> None:
        self._inbox = inbox
        self._known = known
        self._beside = beside
        self.count = 0

    def __iter__(self) -> Iterator[tuple[int, str, os.DirEntry[str]]]:
        """Yield mtime, name and entry, as the folder has them."""
        with os.scandir(self._inbox) as entries:
            for entry in entries:
                name = entry.name
                if never_touched(name) or name in OUR_FOLDERS or not _may_be_drop(entry):
                    continue
                if name in self._known:
                    self._beside.append(entry)
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                self.count += 1
                yield status.st_mtime_ns, name, entry


def _may_be_drop(entry: os.DirEntry[str]) -> bool:
    suffix = _suffix(entry.name)
    if suffix in JOB_SUFFIXES or suffix in _NEARLY_JOBS:
        return True
    return entry.is_dir(follow_symlinks=False) or entry.is_symlink()


def sight_of(status: os.stat_result) -> Sight:
    """Return what tells this file from another, or from itself after a write."""
    return Sight(status.st_size, status.st_mtime_ns, status.st_ino)


def never_touched(name: str) -> bool:
    """Say whether the inbox leaves everything of this name alone."""
    return name.startswith((".", "~$")) or name.lower().endswith(_UNFINISHED)


def _suffix(name: str) -> str:
    dot = name.rfind(".")  # asked of each entry at each look: twice as fast as os.path.splitext
    return name[dot:].lower() if dot > 0 else ""


def _place(inbox: Path, entry: os.DirEntry[str]) -> DropPlace | JoblessFolder | None:
    """Return the drop that *entry* is, or the folder that may become one; None for neither."""
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        return _folder(inbox, entry.name, status)
    if stat.S_ISLNK(status.st_mode) and entry.is_dir():
        return _linked_folder(inbox, entry.name, sight_of(status))
    suffix, sight, problem = _suffix(entry.name), sight_of(status), None
    if suffix in _NEARLY_JOBS:
        problem = because("nearly_a_job", suffix=suffix)
    elif suffix not in JOB_SUFFIXES:
        return None
    elif not stat.S_ISREG(status.st_mode):
        problem = because("file_itself", kind=kind_of(status.st_mode))
    job = None if problem else Path(entry.name)
    files = {Path(entry.name): sight}
    return DropPlace(name=entry.name, job=job, sight=sight, files=files, problem=problem)


def _linked_folder(inbox: Path, name: str, sight: Sight) -> DropPlace | None:
    try:
        names = os.listdir(inbox / name)  # noqa: PTH208 - names only
    except OSError:
        return None
    if not any(_suffix(n) in JOB_SUFFIXES and not never_touched(n) for n in names):
        return None
    return _hopeless(name, sight, because("folder_itself"))


def _folder(inbox: Path, name: str, about: os.stat_result) -> DropPlace | JoblessFolder:
    """Return the drop that the folder is, or what is known of it while it holds no job file."""
    sight, changed_at = sight_of(about), about.st_ctime
    files: dict[Path, Sight] = {}
    jobs: list[tuple[Path, os.stat_result]] = []
    try:
        for path, status in _walk(inbox, Path(name)):
            files[path] = sight_of(status)
            changed_at = max(changed_at, status.st_ctime)
            if path.parent == Path(name) and _suffix(path.name) in JOB_SUFFIXES:
                jobs.append((path, status))
            if len(files) > MAX_FILES_IN_A_DROP:
                limit = str(MAX_FILES_IN_A_DROP)
                return _hopeless(name, sight, because("many_files", limit=limit))
    except PermissionError:
        return _hopeless(name, sight, because("folder_denied"))
    if not jobs:
        return _without_job(name, sight, files, changed_at)
    job, status = jobs[0]
    problem = None
    if len(jobs) > 1:
        names = ", ".join(sorted(path.name for path, _ in jobs)[:5])
        problem = because("many_jobs", count=str(len(jobs)), names=names)
    elif not stat.S_ISREG(status.st_mode):
        problem = because("job_no_file", name=job.name, kind=kind_of(status.st_mode))
    return DropPlace(
        name=name,
        job=None if problem else job,
        sight=sight if problem else sight_of(status),
        files=files,
        problem=problem,
    )


def _without_job(
    name: str, sight: Sight, files: dict[Path, Sight], changed_at: float
) -> DropPlace | JoblessFolder:
    """Refuse a folder with what was taken for a job file; any other one may still get one."""
    nearly = [
        _suffix(path.name)
        for path in files
        if path.parent == Path(name) and _suffix(path.name) in _NEARLY_JOBS_IN_FOLDERS
    ]
    if nearly:
        problem = because("nearly_a_job", suffix=nearly[0])
        return DropPlace(name=name, job=None, sight=sight, files=files, problem=problem)
    below = [path for path in files if _suffix(path.name) in JOB_SUFFIXES]
    job_below = str(min(below).relative_to(name)) if below else ""
    return JoblessFolder(name=name, changed_at=changed_at, job_below=job_below)


def _hopeless(name: str, sight: Sight, problem: Reason) -> DropPlace:
    return DropPlace(name=name, job=None, sight=sight, files={Path(name): sight}, problem=problem)


def _walk(inbox: Path, folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield all entries below *folder* that are no folders, relative to *inbox*."""
    try:
        with os.scandir(inbox / folder) as entries:
            for entry in entries:
                if never_touched(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(inbox, folder / entry.name)
                else:
                    yield folder / entry.name, entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
