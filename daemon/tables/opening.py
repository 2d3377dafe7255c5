"""From settings to tables; the only place that names the kinds."""

import asyncio
from collections.abc import Iterable

from config.settings import Settings
from config.settings import Table as TableSettings
from daemon.clock import Clock, SystemClock
from daemon.feishu.client import Client
from daemon.feishu.quota import Quota
from daemon.tables.csv import parse_csv
from daemon.tables.feishu_bitable import FeishuBitable
from daemon.tables.feishu_sheet import FeishuSheet
from daemon.tables.file_table import FileTable
from daemon.tables.table import Table


def open_feishu(settings: Settings, clock: Clock) -> Client | None:
    """Return the client that all Feishu tables of the settings share, None when there is none."""
    if all(table.is_file for table in settings.tables):
        return None
    feishu = settings.feishu
    return Client(
        base_url=feishu.base_url,
        app_id=feishu.app_id,
        app_secret=feishu.app_secret,
        clock=clock,
        quota=_quota(settings, clock),
    )


def resume_feishu(settings: Settings) -> bool:
    """Let calls to Feishu pass again that a spent month holds back; says whether any were."""
    quota = _quota(settings, SystemClock())
    if quota.paused_by is None:
        return False
    asyncio.run(quota.resume())
    return True


def _quota(settings: Settings, clock: Clock) -> Quota:
    path = settings.state_dir / "feishu-calls.json"
    return Quota(path, clock, budget=settings.feishu.monthly_call_budget)


def open_tables(
    tables: Iterable[TableSettings], feishu: Client | None = None, language: str = "auto"
) -> list[Table]:
    """Return the tables of the settings; nothing is read yet. Those of Feishu share *feishu*.

    *language*: that of the settings; it says what columns are called that are added.
    """
    return [_open(table, feishu, language) for table in tables]


def _open(settings: TableSettings, feishu: Client | None, language: str) -> Table:
    match settings.kind:
        case "feishu-bitable" if feishu is not None:
            return FeishuBitable(settings, feishu, language)
        case "feishu-sheet" if feishu is not None:
            return FeishuSheet(settings, feishu, language)
        case "csv":
            return FileTable(settings, parse_csv, language)
        case "xlsx":
            from daemon.tables.xlsx import parse_xlsx  # noqa: PLC0415 - openpyxl is 5 MB and slow

            return FileTable(settings, parse_xlsx, language)
        case _:
            raise NotImplementedError(settings.kind)
