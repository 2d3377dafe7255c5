"""Uploads in parts that are under way, as the ledger notes them until their token is noted.

A kill in between leaves the note, by which the next process goes on. Notes of uploads that ended
otherwise go when they are too old to be gone on with, at the latest with the next upload.
"""

from datetime import datetime, timedelta

import msgspec

from daemon.clock import Clock
from daemon.feishu.uploads import Begun
from ledger.entry import Meta
from ledger.ledger import Ledger
from ledger.timestamps import from_timestamp, to_timestamp

SECTION = "uploads"
#: Feishu keeps an upload for 24 hours; one that is about to end is not gone on with.
LIFE = timedelta(hours=23)


class _Note(msgspec.Struct, frozen=True):
    """What a value of the section is."""

    at: str  # when the upload was begun
    begun: Begun


class Ongoing:
    """The upload of one file: a ``daemon.feishu.uploads.Memory`` in the ledger."""

    def __init__(self, ledger: Ledger, key: str, clock: Clock, actor: str) -> None:
        """*key*: of document, task and content; *actor*: on whose account the journal says."""
        self._ledger = ledger
        self._key = key
        self._clock = clock
        self._actor = actor

    @property
    def begun(self) -> Begun | None:
        """The upload as far as it was noted, when it still can be gone on with."""
        note = self._note
        return note.begun if note is not None and _is_fresh(note, self._clock.now()) else None

    async def note(self, begun: Begun) -> None:
        """Note *begun*; raises LedgerError, with nothing noted."""
        known, now = self._note, self._clock.now()
        is_new = known is None or known.begun.upload_id != begun.upload_id
        note = _Note(to_timestamp(now) if known is None or is_new else known.at, begun)
        records = [Meta(section=SECTION, key=self._key, value=msgspec.to_builtins(note))]
        records += self._too_old(now) if is_new else []
        await self._ledger.commit(*records, op="upload.begun", actor=self._actor)

    def removal(self) -> tuple[Meta, ...]:
        """Return what removes the note, for the transaction that notes the token."""
        if self._note is None:
            return ()
        return (Meta(section=SECTION, key=self._key, value=None),)

    @property
    def _note(self) -> _Note | None:
        value = self._ledger.meta(SECTION).get(self._key)
        return None if value is None else msgspec.convert(value, _Note)

    def _too_old(self, now: datetime) -> list[Meta]:
        """Return what removes the notes that no upload will go on by."""
        notes = self._ledger.meta(SECTION).items()
        return [
            Meta(section=SECTION, key=key, value=None)
            for key, value in notes
            if key != self._key and not _is_fresh(msgspec.convert(value, _Note), now)
        ]


def _is_fresh(note: _Note, now: datetime) -> bool:
    return abs(now - from_timestamp(note.at)) < LIFE
