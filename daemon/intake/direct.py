"""Given drops taken in by a command that holds the ledger's lock; loads no event loop.

What it leaves in ledger and folders is what the daemon would have left: both decide with
``deciding`` and put away with ``putting_away``.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from daemon import failpoint
from daemon.intake.candidates import Candidates, PlannedDrop, candidates_of
from daemon.intake.columns import WorkflowNeeds
from daemon.intake.completeness import Completeness
from daemon.intake.deciding import Change, Decided, Receipt, Sieve, change_of, decide, ids_for
from daemon.intake.drops import OUR_FOLDERS, DropPlace, find_named
from daemon.intake.errors import BadPicture, Postponed, Unreadable, Vanished
from daemon.intake.filing import SECTION, Filing, from_text
from daemon.intake.jobs import Kept, ReadJob, UnreadableJob, open_job, refusal, taken_together
from daemon.intake.picture_store import PictureStore
from daemon.intake.putting_away import MOVED_TOGETHER, PutAway, forgetting, pending_in, put_away
from daemon.timepiece import MachineTime
from daemon.words import Words
from ledger.entry import Record
from ledger.errors import LedgerError
from ledger.task import Json
from ledger.timestamps import to_timestamp


class HeldLedger(Protocol):
    """The ledger of whoever holds its lock, see ``DirectLedger``."""

    def was_accepted(self, fingerprint: str) -> bool:
        """Say whether a row was ever accepted; raises LedgerDamaged."""
        ...

    def each_new_task_id(self, workflow_type: str, at: str, count: int) -> Iterator[str]:
        """Return ids never given before, each made when it is asked for."""
        ...

    def meta(self, section: str) -> Mapping[str, Json]:
        """Return a section of the meta part."""
        ...

    def commit(self, *records: Record, op: str, actor: str) -> None:
        """Write one transaction; raises LedgerClosed."""
        ...


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a drop: its rows were decided, or it was refused whole."""

    receipt: Receipt | None = None
    unreadable: Unreadable | None = None
    reports: tuple[Path, ...] = ()
    unmoved: bool = False  # it still lies in the inbox; the daemon tries again


class Taken(msgspec.Struct, frozen=True):
    """What became of some drops, by their names."""

    verdicts: dict[str, Verdict]
    unmoved: frozenset[str] = frozenset()  # decided before, and still not to be moved
    obstacle: Postponed | LedgerError | None = None  # why some of the others have no verdict yet


class _Filed(msgspec.Struct, frozen=True, kw_only=True):
    """A drop whose verdict is in the ledger, not yet put away."""

    name: str
    key: str
    filing: Filing
    verdict: Verdict


class DirectIntake:
    """Takes given drops in, each in a transaction of its own, many of them together."""

    def __init__(
        self,
        inbox: Path,
        store: PictureStore,
        completeness: Completeness,
        needs: Mapping[str, WorkflowNeeds],
        known: frozenset[str],
        *,
        allow: Sequence[Path],
        words: Words,
    ) -> None:
        """*known*: columns that mean something; *words*: the language of reports."""
        self._inbox = inbox
        self._store = store
        self._completeness = completeness
        self._needs = needs
        self._known = known
        self._allow = allow
        self._words = words
        self._time = MachineTime()
        #: Those that pictures are waited for, by name.
        self.waiting: dict[str, DropPlace] = {}

    def take(self, ledger: HeldLedger, names: Sequence[str]) -> Taken:
        """Decide the drops called *names*, in this order, and put them away.

        Whoever put them into the inbox is done writing: they need not come to rest. What an
        earlier crash left decided is finished first and not decided again. A drop that is gone,
        or whose pictures are missing (``waiting``), has no verdict; nor have those that our disk
        or the ledger cannot take now. They stay where they are. A kill leaves decided drops to
        whoever takes drops in next.
        """
        self._finish_old(ledger)
        pending = pending_in(ledger.meta(SECTION)).values()
        decided = {from_text(filing.name): filing.sight for filing in pending}
        lying = find_named(self._inbox, names)
        unmoved = frozenset(place.name for place in lying if decided.get(place.name) == place.sight)
        verdicts: dict[str, Verdict] = {}
        for group in taken_together([place for place in lying if place.name not in unmoved]):
            taken = self._take(ledger, group)
            verdicts |= taken.verdicts
            if taken.obstacle is not None:
                return Taken(verdicts, unmoved, taken.obstacle)
        return Taken(verdicts, unmoved)

    def is_ready(self, name: str) -> bool:
        """Say whether the pictures that a drop waits for came, or were waited for long enough."""
        place = self.waiting.get(name)
        return place is None or self._completeness.has_rested(place)

    def lacking(self, name: str) -> list[str]:
        """Return the names of the pictures that a drop waits for."""
        place = self.waiting.get(name)
        return [] if place is None else [path.name for path in self._completeness.lacking(place)]

    def _finish_old(self, ledger: HeldLedger) -> None:
        for folder in OUR_FOLDERS:
            (self._inbox / folder).mkdir(exist_ok=True)
        old = list(pending_in(ledger.meta(SECTION)).items())
        for first in range(0, len(old), MOVED_TOGETHER):
            self._put_away(ledger, old[first : first + MOVED_TOGETHER])

    def _take(self, ledger: HeldLedger, places: Sequence[DropPlace]) -> Taken:
        obstacle: Postponed | LedgerError | None
        read, unreadable = self._open(places)
        jobs, obstacle = self._with_pictures(read)
        filed: list[_Filed] = []
        try:
            filed.extend(self._record(ledger, jobs))
            filed.extend(self._refuse(ledger, unreadable))
        except LedgerError as error:
            obstacle = obstacle or error
        if not filed:
            return Taken({}, obstacle=obstacle)
        away = self._put_away(ledger, [(each.key, each.filing) for each in filed])
        verdicts = {
            each.name: msgspec.structs.replace(
                each.verdict,
                reports=away.reports.get(each.key, ()),
                unmoved=each.key in away.unmoved,
            )
            for each in filed
        }
        return Taken(verdicts, obstacle=obstacle)

    def _open(self, places: Sequence[DropPlace]) -> tuple[list[ReadJob], list[UnreadableJob]]:
        """Read the job files; drops that are gone or wait for pictures are left out."""
        read: list[ReadJob] = []
        unreadable: list[UnreadableJob] = []
        for place in places:
            self.waiting.pop(place.name, None)
            try:
                job = open_job(self._inbox, place, self._known, self._needs)
            except Vanished:
                continue
            if isinstance(job, UnreadableJob):
                unreadable.append(job)
            elif self._completeness.has_pictures(place, job.planned):
                read.append(job)
            else:
                self.waiting[place.name] = place
        return read, unreadable

    def _with_pictures(
        self, read: Sequence[ReadJob]
    ) -> tuple[list[tuple[ReadJob, Candidates]], Postponed | None]:
        """Keep the pictures that the rows name, up to the drop for which our disk has no room."""
        jobs: list[tuple[ReadJob, Candidates]] = []
        for job in read:
            try:
                kept = self._keep_pictures(job.planned)
            except Postponed as error:
                return jobs, error
            jobs.append((job, candidates_of(job.planned, kept)))
        return jobs, None

    def _keep_pictures(self, planned: PlannedDrop) -> Kept:
        kept: Kept = {}
        for named in planned.pictures():
            try:
                kept[named] = self._store.keep(named, planned.drop.pictures_in, self._allow)
            except BadPicture as error:
                kept[named] = error
        failpoint.reach("intake.contents_copied")
        return kept

    def _record(
        self, ledger: HeldLedger, jobs: Sequence[tuple[ReadJob, Candidates]]
    ) -> Iterator[_Filed]:
        """Yield each drop once it is recorded."""
        at, sieve = to_timestamp(self._time.now()), Sieve(ledger.was_accepted)
        decided: list[Decided] = []
        for _, candidates in jobs:
            new = sieve.new_among(candidates.good, candidates.drop)
            ids = ids_for(new, ledger, at)
            decided.append(decide(candidates, new, ids, self._needs, at))
        if jobs:
            failpoint.reach("intake.before_commit")
        for (job, candidates), each in zip(jobs, decided, strict=True):
            key, filing = each.receipt.batch_id, job.filing(each.receipt, self._words, at)
            filed = (filing.as_meta(key),)
            _write(ledger, change_of(each, candidates.drop, filed))
            failpoint.reach("intake.after_commit")
            verdict = Verdict(receipt=each.receipt)
            yield _Filed(name=job.place.name, key=key, filing=filing, verdict=verdict)

    def _refuse(self, ledger: HeldLedger, jobs: Sequence[UnreadableJob]) -> Iterator[_Filed]:
        """Yield each drop once it is recorded that it was refused whole."""
        at = to_timestamp(self._time.now())
        for job in jobs:
            key, filing = job.filing(self._words, at)
            _write(ledger, refusal(key, filing))
            verdict = Verdict(unreadable=job.error)
            yield _Filed(name=job.place.name, key=key, filing=filing, verdict=verdict)

    def _put_away(self, ledger: HeldLedger, filings: Sequence[tuple[str, Filing]]) -> PutAway:
        away = put_away(filings, self._inbox, self._words)
        failpoint.reach("intake.before_forgetting")
        if change := forgetting(away.done):
            with contextlib.suppress(LedgerError):  # the verdicts stand; the next one forgets
                _write(ledger, change)
                failpoint.reach("intake.forgotten")
        return away


def _write(ledger: HeldLedger, change: Change | None) -> None:
    if change is not None:
        ledger.commit(*change.records, op=change.op, actor=change.actor)
