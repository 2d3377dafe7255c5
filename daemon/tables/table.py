"""The contract of a table, whatever its kind. One contract-test suite runs over all kinds."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from daemon.tables.cells import (
    CellFile,
    Change,
    Finding,
    Outcome,
    Pick,
    Reading,
    ResultFile,
    Row,
)
from daemon.tables.columns import Naming
from daemon.tables.ongoing import Ongoing


class Table(Protocol):
    """Rows under a line of headings, in a document that people edit meanwhile.

    A row is found by its *key*, never by where it was: rows are sorted, inserted and deleted at
    any time. The key is the text of the column 任务ID; where ``has_own_keys``, it is the id that
    the document itself gives each row (Bitable's record_id), and 任务ID is a cell like others.

    Every method may be called again after any failure or kill, and does the same. All raise:
    Unreachable, InUse (``write``, ``add_columns``, ``upload`` only), Misconfigured, OutOfQuota;
    after each of them nothing is known of what was written. Nothing retries inside for longer than
    a call takes; callers wait and call again. Blocking work is done in threads. Writes to one
    document are the caller's to serialise: see ``document``; an ``upload`` may go on beside them.
    """

    name: str  # of the settings
    kind: str
    document: str  # tables with the same one are written one at a time, whoever writes
    naming: Naming
    has_own_keys: bool
    takes_files: bool  # False: ``upload`` is never called, cells get the path's text
    pictures_in: Path | None  # where text in a picture cell is a path from; None: it must be a file

    async def read(self, seen: str | None = None) -> Reading | None:
        """Return the rows, or None when the table is as it was in the reading of revision *seen*.

        The rows: at least those whose status is no end and those with a command; all of them
        where that costs no more. None is cheap. Raises Misconfigured for doubled headings;
        missing ones are for the caller to see in ``Reading.columns``.
        """
        ...

    async def find(self, keys: Collection[str]) -> Sequence[Row]:
        """Return the rows that bear one of *keys* now, read anew, in the order of the table.

        A key that two rows bear (one was copied) comes twice, one that no row bears not at all.
        """
        ...

    async def read_all(self) -> Reading:
        """Return every row; for `tables reconcile`."""
        ...

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Write all *changes* with as few writes as the kind allows; outcomes in their order.

        A row given as it was read is written only if it still is so (``mark``); a row given by
        key is looked for anew, and of those that bear it (one was copied) the one that ``among``
        picks is written; it is gone when that is none. Cells that already hold the value are left
        alone: the same changes again write nothing. No other cell is touched; what others wrote
        meanwhile stays. What they write into one of these very cells in the last moment is lost
        where a document knows no conditional write: in Feishu between the last reading and the
        write, one round trip; in a file only where the system cannot exchange two names, between
        a look and a renaming. A kill leaves all changes of one row or none of it. Files were
        uploaded before (``ResultFile.token``), or lie on our disk; of a row with files that the
        document does not know nothing is written, and the caller is to upload them anew.
        """
        ...

    async def add_columns(self, keys: Sequence[str]) -> None:
        """Add a column for each of *keys* behind the last one; one that is there is left alone."""
        ...

    async def fetch(self, file: CellFile, row: Row, column: str, into: Path) -> None:
        """Write the file of a cell to *into*; a kill leaves part of it.

        Raises Refused when the document has it no more, or keeps it back for good.
        """
        ...

    async def upload(
        self,
        file: ResultFile,
        key: str,
        column: str,
        among: Pick | None = None,
        ongoing: Ongoing | None = None,
    ) -> str:
        """Put *file* into the document and return its token; for the row *key* and its *column*.

        *among*: as in a ``Change``; *ongoing*: where an upload in parts is noted, to be gone on
        with after a kill.

        Called only for a file whose token no record holds; the files of a cell in their order.
        Where a file is put by putting it into the cell (Sheets), it shows from then on. A kill
        before the token is noted leads to a second call: a kind that can see the file in its cell
        returns that one. Raises Refused when the document will never take it, OSError when it
        cannot be read here, what *ongoing* raises.
        """
        ...

    def room(self, column: str) -> int | None:
        """Return how many files a row takes under *column*, as last seen; None for any number."""
        ...

    async def floating(self) -> Mapping[str, frozenset[str]]:
        """Return, by place of row, the columns over which pictures float that cannot be read.

        Under "" the columns of which the row is not known. For a word to who put them there; asked
        only when a picture is missing.
        """
        ...

    async def inspect(self, *, write_test: bool = False) -> Sequence[Finding]:
        """Return what `check` shows of the table; with *write_test* a scratch cell is written.

        Never raises a TableError: it becomes a finding.
        """
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...
