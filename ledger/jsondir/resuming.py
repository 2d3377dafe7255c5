"""Which journal a process that has just taken the lock goes on with."""

from pathlib import Path

import msgspec

from ledger.entry import Meta, Transaction, transaction_of
from ledger.jsondir.files import Disk
from ledger.jsondir.journal import encode
from ledger.jsondir.journals import JournalPlace, archived_journals, live_journals
from ledger.jsondir.loading import REPAIRS, Loaded, Repair
from ledger.jsondir.open_journal import OpenJournal


def journal_to_write(
    disk: Disk, folder: Path, loaded: Loaded, at: str, *, damaged: bool
) -> OpenJournal:
    """Return the newest journal, its torn tail cut off; a new one after damage. Needs the lock.

    A leap, and that its end was cut off or all of it removed, are recorded before anything else;
    after damage that is left to the repair.
    """
    journal = _journal_to_go_on_with(disk, folder, loaded, damaged=damaged)
    if loaded.leap is not None:
        for late in archived_journals(folder, beyond=loaded.state.last_seq):
            _set_aside(late, disk, at)
        write_down(journal, loaded, loaded.leap, at)
        loaded.leap = None
    if loaded.lost_history is not None and not damaged:
        transaction = transaction_of(
            record_of(Repair(history=[loaded.lost_history]), at),
            op="ledger.history_lost",
            reason=missing_history(loaded.lost_history),
        )
        write_down(journal, loaded, transaction, at)
    return journal


def _journal_to_go_on_with(
    disk: Disk, folder: Path, loaded: Loaded, *, damaged: bool
) -> OpenJournal:
    places = live_journals(folder)
    if not places or damaged:
        return OpenJournal.begin(disk, folder, loaded.next_seq)
    newest = places[-1]
    found = loaded.scans[newest.first_seq]
    journal = OpenJournal.go_on(disk, folder, newest, found.whole_bytes)
    if found.lacks_newline:
        journal.close()
        return OpenJournal.begin(disk, folder, loaded.next_seq)
    return journal


def _set_aside(late: JournalPlace, disk: Disk, at: str) -> None:
    """Keep a journal aside that tells of changes which this ledger never saw."""
    for path in (late.archived, late.index):
        if path.exists():
            disk.set_aside(path, f"{path.name}.lost-{at.replace(':', '')}")


def torn_tail(folder: Path, loaded: Loaded) -> tuple[str, int] | None:
    """Return the newest journal's name and how many bytes of it are of no whole transaction."""
    places = live_journals(folder)
    found = loaded.scans.get(places[-1].first_seq) if places else None
    return (places[-1].live.name, found.torn_bytes) if found and found.torn_bytes else None


def write_down(journal: OpenJournal, loaded: Loaded, transaction: Transaction, at: str) -> None:
    """Append *transaction* durably and bring *loaded* up to date; raises OSError."""
    journal.append(encode(transaction, loaded.next_seq, at))
    for record, encoded in zip(transaction.records, transaction.encoded, strict=True):
        loaded.index.apply(record, encoded)
        loaded.changes.add(record, encoded)
    loaded.next_seq += len(transaction.records)
    loaded.state.last_seq = loaded.next_seq - 1


def record_of(repair: Repair, at: str) -> Meta:
    """Return the record by which the ledger itself knows for ever which changes are lost."""
    return Meta(section=REPAIRS, key=at, value=msgspec.to_builtins(repair))


def missing_history(lost: tuple[int, int]) -> str:
    """Return what is told when changes are gone from the journal and not from the snapshot."""
    first, last = lost
    return f"changes {first} to {last} are missing from the journal; the state they made is not"
