"""What can go wrong with the ledger.

LedgerError
├── Conflict        somebody else changed the record first; read it again
├── IllegalMove     MOVES lacks it: a fault of the caller
├── UnknownRecord   no such task or batch
├── LedgerLocked    another process writes this ledger; names the holder
├── LedgerClosed    writing has ended (disk full, failed sync, closed); nothing was written
├── LedgerDamaged   bytes on disk are not what was written; `ledger repair` mends it
├── LedgerGone      its folder was moved or removed under the process that writes it
├── NotABackup      the folder that is to be restored holds no ledger
└── LedgerTooNew    a newer rowkeeper wrote it; this one leaves it alone
"""


class LedgerError(Exception):
    """Root of all errors of the ledger; what a person should do is said where it is told."""


class Conflict(LedgerError):
    """The record changed since it was read; nothing was written."""


class IllegalMove(LedgerError):
    """A task cannot go from its stage to the wanted one; nothing was written."""

    def __init__(self, task_id: str, source: str, target: str) -> None:
        super().__init__(f"task {task_id} cannot go from {source} to {target}")


class UnknownRecord(LedgerError):
    """No task or batch of this id is in the ledger."""

    def __init__(self, kind: str, record_id: str) -> None:
        super().__init__(f"no {kind} {record_id}")
        self.kind = kind
        self.record_id = record_id


class LedgerLocked(LedgerError):
    """Another process holds the ledger's lock; ``holder`` says which."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"the ledger is in use by {holder}")
        self.holder = holder


class LedgerClosed(LedgerError):
    """The ledger takes no more changes; this one was not written."""

    def __init__(
        self, why: str = "the ledger takes no changes: it is not open, or a write failed"
    ) -> None:
        super().__init__(why)


class LedgerDamaged(LedgerError):
    """Something in the ledger's files is not as it was written."""


class LedgerGone(LedgerError):
    """The folder is not where it was opened; what is acknowledged might survive nothing."""

    def __init__(self, folder: str) -> None:
        super().__init__(f"the ledger's folder {folder} was moved or removed")
        self.folder = folder


class NotABackup(LedgerError):
    """The folder holds neither a snapshot nor a journal with a change; nothing was touched."""

    def __init__(self, folder: str) -> None:
        super().__init__(f"there is no ledger in {folder}")
        self.folder = folder


class LedgerTooNew(LedgerError):
    """The files were written in a format that this version does not know; nothing was touched."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(f"the ledger has format {found}, this version knows up to {known}")
        self.found = found
        self.known = known
