"""Which of the rows that bear one 任务ID is the row its task was made for; the others are copies.

Who copies a line copies its 任务ID too, and may then edit, sort or delete either of them. What was
seen of the two is noted in the ledger while a copy stands, so that a copy that is left alone with
the id is still known for one. Without a note, a row that differs from what its task was made of is
the row, edited.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from daemon.tables.cells import Row, as_text
from daemon.tables.errors import Trouble
from ledger.entry import Meta
from ledger.task import Json

SECTION = "copies"
#: What a row holds that its copy from before may lack.
_TOLD = ("started_at", "finished_at", "output_image", "output_video")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the row and its copies held when several rows bore its id."""

    row: str | None  # None: it is gone; only a row that holds just what its task was made of is it
    copies: tuple[str, ...]  # those that hold something else than the row


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """What tells a row from its copies."""

    inputs: Mapping[str, Json]  # by column that counts, what its task was made of; None: blank
    seen: Seen | None = None
    told_to_copies: str = ""  # what stands in the 错误信息 of those that were seen

    def among(self, rows: Sequence[Row]) -> Row | None:
        """Return the one of *rows*, which all bear its id, that is the row; None: all are copies.

        That is the one that holds what the task was made of, else the one that was the row
        before, else the only change beside copies that stand as they stood. Of true copies it is
        the one that was not told to be one and holds most of what we tell, else the first.
        """
        if self.seen is None and len(rows) == 1:
            return rows[0]
        rows = sorted(rows, key=self._rank)
        nearest = min(rows, key=self._differing, default=None)
        if nearest is None or self.seen is None or not self._differing(nearest):
            return nearest
        held = [self._held(row) for row in rows]
        if self.seen.row in held:
            return rows[held.index(self.seen.row)]
        new = [row for row, each in zip(rows, held, strict=True) if each not in self.seen.copies]
        if self.seen.row is None or not set(self.seen.copies) <= {*held}:
            return None
        return min(new, key=self._differing, default=None)

    def seen_in(self, rows: Sequence[Row], row: Row | None) -> Seen | None:
        """Return what is to be noted of *rows* when *row* is the one; None: nothing."""
        if row is None:
            return Seen(row=None, copies=self.seen.copies if self.seen else ())
        own = self._held(row)
        copies = {self._held(each) for each in rows} - {own}
        return Seen(row=own, copies=tuple(sorted(copies))) if copies else None

    def is_made_of(self, row: Row) -> bool:
        """Say whether *row* holds just what the task was made of."""
        return not self._differing(row)

    def _rank(self, row: Row) -> tuple[bool, int]:
        """Return by what rows that hold the same are ordered: the likeliest first."""
        is_told = bool(self.told_to_copies) and row.text("error") == self.told_to_copies
        return is_told, -sum(key in row.files or bool(row.text(key)) for key in _TOLD)

    def _differing(self, row: Row) -> int:
        """Return how many columns hold something else than the task was made of."""
        return sum(_told(value) != _tokens_or_text(row, key) for key, value in self.inputs.items())

    def _held(self, row: Row) -> str:
        """Return what stands in the columns that count, as one short text."""
        held = repr([_cell(row, key) for key in sorted(self.inputs)])
        return hashlib.blake2b(held.encode("utf-8", "replace"), digest_size=8).hexdigest()


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of one row of a table."""

    table: str
    key: str
    seen: Seen | None  # None: there is no copy any more

    def as_meta(self) -> Meta:
        """Return the record that makes the note, or removes it."""
        value = None if self.seen is None else msgspec.to_builtins(self)
        return Meta(section=SECTION, key=f"{self.table}:{self.key}", value=value)


def noted(notes: Mapping[str, Json], table: str) -> Iterator[Note]:
    """Yield the notes of *table* that stand in *notes*, the ledger's section."""
    for key, value in notes.items():
        if key.startswith(f"{table}:"):
            note = msgspec.convert(value, Note)
            if note.table == table:
                yield note


def seen_of(notes: Mapping[str, Json], table: str, key: str) -> Seen | None:
    """Return what *notes*, the ledger's section, say of one row."""
    value = notes.get(f"{table}:{key}")
    return None if value is None else msgspec.convert(value, Note).seen


def copied(task_id: str) -> Trouble:
    """Return what a row is told that bears the *task_id* of another one."""
    return Trouble(code="copied", values={"task": task_id})


def _told(value: Json) -> list[str]:
    return [as_text(each) for each in (value if isinstance(value, list) else [value])]


def _tokens_or_text(row: Row, key: str) -> list[str]:
    return [file.token for file in row.files.get(key, ())] or [row.text(key)]


def _cell(row: Row, key: str) -> list[str]:
    """Return what a cell holds; of a file its size, where its token is that of the last saving."""
    files = row.files.get(key, ())
    return [str(file.size_bytes or file.token) for file in files] or [row.text(key)]
