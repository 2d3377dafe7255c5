"""The person on the other side of a table: fills it, edits it, sorts it, reads what came back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from config.settings import Table as TableSettings
from daemon.tables.table import Table


class TableUser(Protocol):
    """One document and what people do to it in their own program; a kind of table each.

    Rows are counted from 0 under the headings. A cell that holds files is read as their names,
    joined by ``, ``. A picture in a cell is given as ``Path`` of a file to be put there the way
    people of this kind do (a path in a CSV, an attachment in a Bitable).
    """

    kind: str

    @property
    def settings(self) -> TableSettings:
        """The table's own settings, named ``table``."""
        ...

    @property
    def toml(self) -> str:
        """What a settings file must say so that a daemon works on this table."""
        ...

    def open(self) -> Table:
        """Return the daemon's side of the table."""
        ...

    def fill(self, headings: Sequence[str], rows: Sequence[Mapping[str, str | Path]]) -> None:
        """Make the table anew with these rows."""
        ...

    def rows(self) -> list[dict[str, str]]:
        """Return the rows as the person sees them, by heading; empty cells as ""."""
        ...

    def edit(self, row: int, heading: str, value: str | Path) -> None:
        """Change one cell."""
        ...

    def insert(self, row: int, cells: Mapping[str, str | Path]) -> None:
        """Insert a row above the one that is there."""
        ...

    def copy(self, row: int) -> None:
        """Insert a copy of a row below it, every cell the same."""
        ...

    def delete(self, row: int) -> None:
        """Delete a row."""
        ...

    def sort(self, heading: str, *, reverse: bool = False) -> None:
        """Sort the rows by the text of a column."""
        ...

    def rename(self, heading: str, new: str) -> None:
        """Call a column otherwise; "" for no heading at all."""
        ...

    def unwritable(self) -> None:
        """Make the table refuse writes for a reason that passes (it is open elsewhere)."""
        ...

    def writable(self) -> None:
        """End what ``unwritable`` began."""
        ...
