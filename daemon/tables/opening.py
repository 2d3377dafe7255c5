"""From settings to tables; the only place that names the kinds."""

from collections.abc import Iterable

from config.settings import Table as TableSettings
from daemon.tables.csv import parse_csv
from daemon.tables.file_table import FileTable
from daemon.tables.table import Table


def open_tables(tables: Iterable[TableSettings]) -> list[Table]:
    """Return the tables of the settings; nothing is read yet."""
    return [_open(table) for table in tables]


def _open(settings: TableSettings) -> Table:
    match settings.kind:
        case "csv":
            return FileTable(settings, parse_csv)
        case _:
            raise NotImplementedError(settings.kind)
