"""What `check` finds with the tables and the bot: rights, columns, and with a test, writing."""

import asyncio
from collections.abc import Iterator, Sequence

from config.settings import Settings
from daemon.cli.check_line import CheckLine
from daemon.clock import SystemClock
from daemon.feishu.errors import FeishuError
from daemon.feishu.webhook import Webhook
from daemon.tables import cells
from daemon.tables.errors import Trouble
from daemon.tables.feishu_troubles import trouble_of
from daemon.tables.opening import open_feishu, open_tables
from daemon.tables.table import Table
from daemon.words import Words

_ANSWER_SECONDS = 90.0


async def look_at_tables(settings: Settings, words: Words, *, write_test: bool) -> list[CheckLine]:
    """Return the findings on all tables and on the alert hook; writes only for *write_test*."""
    feishu = open_feishu(settings, SystemClock())
    tables = open_tables(settings.tables, feishu, settings.language)
    try:
        found = await asyncio.gather(*(_inspect(each, write_test) for each in tables))
    finally:
        for each in tables:
            await each.close()
    created = {table.name for table in settings.tables if table.create_columns}
    findings = [
        finding
        for table, about in zip(tables, found, strict=True)
        for finding in _findings(
            f"table {table.name}", about, words, creates_columns=table.name in created
        )
    ]
    return [*findings, await _hook(settings, words, write_test=write_test)]


async def _inspect(table: Table, write_test: bool) -> Sequence[cells.Finding] | None:  # noqa: FBT001 - private
    """Return what the table says of itself, None when it does not answer in time."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await table.inspect(write_test=write_test)
    except TimeoutError:
        return None


def _findings(
    name: str, about: Sequence[cells.Finding] | None, words: Words, *, creates_columns: bool
) -> Iterator[CheckLine]:
    """Yield a table's findings; columns that the first look adds are no trouble."""
    if about is None:
        message = words("check.no_answer", seconds=_ANSWER_SECONDS)
        yield CheckLine(level="fail", name=name, message=message)
    for each in about or ():
        level, trouble = each.level, each.trouble
        if creates_columns and trouble.code == "missing":
            level, trouble = cells.Level.OK, Trouble(code="columns_to_come", values=trouble.values)
        yield CheckLine(level=level.value, name=name, message=trouble.text(words))


async def _hook(settings: Settings, words: Words, *, write_test: bool) -> CheckLine:
    """Return whether alerts are sent; a message is sent only for *write_test*."""
    alerts = settings.alerts
    if not alerts.feishu_webhook:
        return CheckLine(level="ok", name="alerts", message=words("check.no_hook"))
    if not write_test:
        return CheckLine(level="ok", name="alerts", message=words("check.hook_untried"))
    hook = Webhook(
        alerts.feishu_webhook,
        SystemClock(),
        secret=alerts.feishu_webhook_secret,
        keyword=alerts.feishu_keyword,
    )
    try:
        await hook.send(words("check.hook_test"))
    except FeishuError as error:
        return CheckLine(level="fail", name="alerts", message=trouble_of(error).text(words))
    finally:
        await hook.close()
    return CheckLine(level="ok", name="alerts", message=words("check.hook_ok"))
