"""Drops on their way: put into the inbox, decided by whoever holds the ledger's lock.

That is the daemon, if one runs: then its answer is read from ledger and folders. If none does, we
take the lock and decide as it would, with the same patience: a picture that a row names may come
after the job file, so a drop that lacks one waits for ``wait_for_pictures_seconds`` before its row
is rejected. The lock is free meanwhile; a daemon that starts takes the drop.
"""

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from daemon import failpoint
from daemon.cli.drop import Drop, place
from daemon.cli.drop_outcome import DropOutcome, OutcomeWatch, outcome_of
from daemon.cli.invocation import Invocation
from daemon.cli.verb import refusal_of
from daemon.intake.columns import clean_text
from daemon.words.retelling import OBSTACLES, REPORTS, in_language
from ledger.errors import LedgerError, LedgerLocked
from ledger.jsondir.holder import read_holder
from ledger.jsondir.reader import read_state

if TYPE_CHECKING:
    from daemon.intake.direct import DirectIntake, Verdict
    from daemon.intake.errors import Postponed
    from ledger.direct import DirectLedger

_LOOK_EVERY_SECONDS = 0.1
_LEDGER_EVERY_SECONDS = 1.5  # reading it takes a while
_PICTURES_NAMED = 5


class Submission:
    """What becomes of some drops; to be asked once."""

    def __init__(self, invocation: Invocation, drops: Sequence[Drop]) -> None:
        self._invocation = invocation
        self._drops = drops
        self._inbox = invocation.settings.inbox.path
        self._ledger = invocation.settings.ledger.path
        self._names: list[str] = []  # of the drops, once they lie in the inbox
        self._watch = OutcomeWatch(self._inbox, frozenset())
        self._verdicts: dict[str, Verdict] = {}  # ours
        self._unmoved: set[str] = set()  # decided by somebody else, and lying there
        self._obstacle: Postponed | LedgerError | OSError | None = None

    def outcomes(self, timeout_seconds: float) -> Iterator[DropOutcome]:
        """Put the drops into the inbox, wait for their outcomes so long, and yield them in order.

        Raises ConfigError when we are to decide and a template is unfit; then nothing was put
        there. A kill leaves in the inbox what is not decided, and the rest as decided.
        """
        self._begin()
        self._wait(timeout_seconds)
        for name, drop in zip(self._names, self._drops, strict=True):
            yield self._outcome(name, drop)

    def _begin(self) -> None:
        """Put the drops into the inbox, and decide them if nobody holds the lock."""
        if read_holder(self._ledger) is None:
            self._take()
        if self._is_unplaced:
            self._place(frozenset(read_state(self._ledger).batches))

    @property
    def _is_unplaced(self) -> bool:
        return len(self._names) < len(self._drops)

    def _place(self, known_batches: frozenset[str]) -> None:
        self._watch = OutcomeWatch(self._inbox, known_batches)
        for drop in self._drops[len(self._names) :]:
            self._names.append(place(drop, self._inbox))

    def _take(self) -> None:
        """Decide what can be decided, if we get the lock; put the drops there before if need be."""
        from ledger.direct import DirectLedger  # noqa: PLC0415 - mostly a daemon runs
        from ledger.jsondir.files import Disk  # noqa: PLC0415 - likewise

        intake = self._intake
        try:
            self._invocation.settings.inputs.path.mkdir(parents=True, exist_ok=True)
            with DirectLedger(self._ledger, disk=Disk(reached=failpoint.reach)) as ledger:
                ledger.know_archived()
                if self._is_unplaced:
                    self._place(frozenset(ledger.index.batch_ids()))
                self._take_under(ledger, intake)
        except LedgerLocked:
            pass  # whoever holds it is the daemon, or a command that is done in a moment
        except (LedgerError, OSError) as error:
            self._obstacle = error

    def _take_under(self, ledger: "DirectLedger", intake: "DirectIntake") -> None:
        pending = filter(self._is_pending, self._names)
        waited_for = set(intake.waiting)
        taken = intake.take(ledger, list(filter(intake.is_ready, pending)))
        self._verdicts |= taken.verdicts
        self._unmoved |= taken.unmoved
        self._obstacle = taken.obstacle
        wait_seconds = self._invocation.settings.inbox.wait_for_pictures_seconds
        for name in filter(lambda each: each not in waited_for, intake.waiting):
            pictures = intake.lacking(name)[:_PICTURES_NAMED]
            say = self._invocation.say
            say("submit.waits", name=clean_text(name), pictures=pictures, seconds=wait_seconds)

    @cached_property
    def _intake(self) -> "DirectIntake":
        from daemon.cli.direct_intake import direct_intake  # noqa: PLC0415 - mostly a daemon runs

        return direct_intake(self._invocation.settings)

    def _is_pending(self, name: str) -> bool:
        """Say whether nobody has decided, as far as we know."""
        undecided = name not in self._verdicts and name not in self._unmoved
        return undecided and self._watch.is_pending(name)

    def _wait(self, timeout_seconds: float) -> None:
        """Wait until every drop is decided, or cannot be, or time is over.

        Another process decides: there is nothing to wait on. A drop is moved right after its
        outcome, so one that lies there decided at two looks in a row may not be moved.
        """
        deadline = time.monotonic() + timeout_seconds
        ledger_due = time.monotonic() + _LEDGER_EVERY_SECONDS
        decided = set[str]()
        while self._obstacle is None and any(map(self._is_pending, self._names)):
            if (now := time.monotonic()) >= deadline:
                break
            if read_holder(self._ledger) is None:
                self._take_what_is_ready()
            elif now >= ledger_due:
                state, ledger_due = read_state(self._ledger), now + _LEDGER_EVERY_SECONDS
                lying = {name for name in self._names if self._watch.is_unmoved(name, state)}
                self._unmoved |= lying & decided
                decided = lying
            time.sleep(_LOOK_EVERY_SECONDS)

    def _take_what_is_ready(self) -> None:
        """Decide, for the daemon is gone, or was never there, and pictures have come."""
        pending = filter(self._is_pending, self._names)
        if any(map(self._intake.is_ready, pending)):
            self._take()

    def _outcome(self, name: str, drop: Drop) -> DropOutcome:
        words = self._invocation.words
        if (verdict := self._verdicts.get(name)) is not None:
            return outcome_of(name, verdict, words)
        if self._is_pending(name):
            return DropOutcome(name=clean_text(name), pending=True, postponed=self._reason())
        outcome = self._watch.outcome(name, drop.lines, read_state(self._ledger))
        why = outcome.unreadable  # in the language of reports
        return msgspec.structs.replace(
            outcome,
            unmoved=self._watch.is_pending(name),
            unreadable=why and in_language(why, words.language, REPORTS),
        )

    def _reason(self) -> str | None:
        """Return why drops cannot be decided now, and what to do about it."""
        from daemon.cli.disk_trouble import sentence_on  # noqa: PLC0415 - seldom wanted

        words = self._invocation.words
        match self._obstacle:
            case None:
                return None
            case LedgerError() as error:
                return refusal_of(error, words).format_message()
            case OSError() as error:
                return sentence_on(error, self._invocation) or str(error)
            case error:
                return in_language(str(error), words.language, OBSTACLES)
