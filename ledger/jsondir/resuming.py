"""Which journal a process that has just taken the lock goes on with."""

from pathlib import Path

from ledger.jsondir.files import Disk
from ledger.jsondir.journals import live_journals
from ledger.jsondir.loading import Loaded
from ledger.jsondir.open_journal import OpenJournal


def journal_to_write(disk: Disk, folder: Path, loaded: Loaded, *, damaged: bool) -> OpenJournal:
    """Return the newest journal, its torn tail cut off; a new one after damage. Needs the lock."""
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


def torn_tail(folder: Path, loaded: Loaded) -> tuple[str, int] | None:
    """Return the newest journal's name and how many bytes of it are of no whole transaction."""
    places = live_journals(folder)
    found = loaded.scans.get(places[-1].first_seq) if places else None
    return (places[-1].live.name, found.torn_bytes) if found and found.torn_bytes else None
