"""Records of a Bitable as rows; pure."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from daemon.feishu.bitable import Field, Record
from daemon.tables.cells import CellFile, Row
from daemon.tables.columns import Columns, Naming, columns_of
from daemon.tables.feishu_values import RESTLESS, held

if TYPE_CHECKING:
    from ledger.task import Json


class BitableColumns(msgspec.Struct, frozen=True):
    """The columns of a Bitable's table, by what they mean and by heading."""

    columns: Columns
    fields: Mapping[str, Field]  # by heading

    @classmethod
    def of(cls, fields: Sequence[Field], naming: Naming) -> "BitableColumns":
        """Return the columns; raises Misconfigured for two of one meaning."""
        columns = columns_of([field.name for field in fields], naming)
        return cls(columns, {field.name: field for field in fields})

    def field(self, key: str) -> Field | None:
        """Return the column under a key, None when the table lacks it."""
        return self.fields.get(self.columns.headings.get(key, ""))

    def row(self, record: Record) -> Row:
        """Return a record as a row; its mark leaves out what changes without anybody's doing."""
        cells: dict[str, Json] = {}
        files: dict[str, tuple[CellFile, ...]] = {}
        marked: list[object] = [record.record_id]
        for key, heading in self.columns.headings.items():
            field = self.fields[heading]
            value = held(field, record.fields.get(heading))
            if isinstance(value, tuple):
                files[key] = value
            elif value is not None:
                cells[key] = value.strip() if isinstance(value, str) else value
            if field.type not in RESTLESS:
                tokens = [file.token for file in files.get(key, ())]
                marked.append(tokens or cells.get(key))
        key = record.record_id
        return Row(place=key, key=key, cells=cells, files=files, mark=digest(marked))


def digest(value: object) -> str:
    """Return a hash of something that JSON can hold."""
    return hashlib.blake2b(msgspec.json.encode(value), digest_size=16).hexdigest()
