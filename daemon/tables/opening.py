"""From settings to tables; the only place that names the kinds."""

from collections.abc import Iterable

from config.settings import Settings
from config.settings import Table as TableSettings
from daemon.clock import Clock
from daemon.feishu.client import Client
from daemon.feishu.quota import Quota
from daemon.tables.csv import parse_csv
from daemon.tables.feishu_bitable import FeishuBitable
from daemon.tables.feishu_sheet import FeishuSheet
from daemon.tables.file_table import FileTable
from daemon.tables.table import Table
from daemon.tables.xlsx import parse_xlsx


def open_feishu(settings: Settings, clock: Clock) -> Client | None:
    """Return the client that all Feishu tables of the settings share, None when there is none."""
    if all(table.is_file for table in settings.tables):
        return None
    feishu = settings.feishu
    quota = Quota(
        settings.state_dir / "feishu-calls.json", clock, budget=feishu.monthly_call_budget
    )
    return Client(
        base_url=feishu.base_url,
        app_id=feishu.app_id,
        app_secret=feishu.app_secret,
        clock=clock,
        quota=quota,
    )


def open_tables(tables: Iterable[TableSettings], feishu: Client | None = None) -> list[Table]:
    """Return the tables of the settings; nothing is read yet. Those of Feishu share *feishu*."""
    return [_open(table, feishu) for table in tables]


def _open(settings: TableSettings, feishu: Client | None) -> Table:
    match settings.kind:
        case "feishu-bitable" if feishu is not None:
            return FeishuBitable(settings, feishu)
        case "feishu-sheet" if feishu is not None:
            return FeishuSheet(settings, feishu)
        case "csv":
            return FileTable(settings, parse_csv)
        case "xlsx":
            return FileTable(settings, parse_xlsx)
        case _:
            raise NotImplementedError(settings.kind)
