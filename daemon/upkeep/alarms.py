"""What a person should know now: each alarm with the sentence that says what to do."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import msgspec

from config.settings import Alerts as AlertSettings
from daemon.feishu.quota import Quota
from daemon.settle.server_memory import memory_of
from daemon.tables.standing import standing_of
from daemon.words import Words
from ledger.batch import Batch, BatchStatus
from ledger.ledger import Ledger
from ledger.slices import in_slices
from ledger.status import Stage
from ledger.timestamps import from_timestamp

_GIB = 2**30
#: Troubles of a table that are no alarm, or have one of their own.
_NO_ALARMS = frozenset({"in_use", "feishu_quota"})


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """Something that needs a person; the same *key* is the same trouble, whatever its text."""

    key: str
    text: str
    repeats: bool = True  # told again while it lasts
    since: datetime | None = None  # of a moment's trouble: when; old ones are no news


#: What is wrong now, by the settings of now.
Source: TypeAlias = Callable[[datetime, AlertSettings], Awaitable[Iterable[Alarm]]]


class LedgerAlarms:
    """What the ledger knows of: failed batches, silent servers, a disk that takes nothing."""

    def __init__(self, ledger: Ledger, servers: Iterable[str], words: Words) -> None:
        self._ledger = ledger
        self._servers = tuple(servers)
        self._words = words

    async def __call__(self, now: datetime, settings: AlertSettings) -> list[Alarm]:
        """Return the alarms of now."""
        alarms = [*self._silent(now, settings.server_down_minutes)]
        await in_slices(map(alarms.extend, self._failed()))
        if not self._ledger.writable:
            alarms.append(Alarm(key="ledger", text=self._words("alert.ledger")))
        return alarms

    def _silent(self, now: datetime, limit_minutes: float) -> Iterator[Alarm]:
        for name in self._servers:
            since = memory_of(self._ledger, name).unreachable_since
            if since is None:
                continue
            minutes = (now - from_timestamp(since)).total_seconds() / 60
            if minutes >= limit_minutes:
                text = self._words("alert.server", server=name, minutes=int(minutes))
                yield Alarm(key=f"server:{name}", text=text)

    def _failed(self) -> Iterator[list[Alarm]]:
        """Yield the alarm of each batch, if it has one; of all others no record is read."""
        index = self._ledger.index
        for batch_id in index.batch_ids() if index.batch_counts()[BatchStatus.FAILED] else ():
            has_failed = index.batch_status(batch_id) is BatchStatus.FAILED
            yield [self._of_failed(index.batch(batch_id))] if has_failed else []

    def _of_failed(self, batch: Batch) -> Alarm:
        counts = self._ledger.counts(batch.batch_id)
        text = self._words(
            "alert.batch",
            name=batch.name,
            batch=batch.batch_id,
            failed=counts.get(Stage.FAILED, 0),
            pending=counts.get(Stage.WAITING, 0),
        )
        since = from_timestamp(batch.updated_at)
        return Alarm(key=f"batch:{batch.batch_id}", text=text, repeats=False, since=since)


def stuck_alarms(count: Callable[[], int], words: Words) -> Source:
    """Return the source of the alarm that tasks are stuck, as the last look at them found."""

    async def look(_now: datetime, _settings: AlertSettings) -> list[Alarm]:
        stuck = count()
        return [Alarm(key="stuck", text=words("alert.stuck", count=stuck))] if stuck else []

    return look


def disk_alarms(folders: Iterable[Path], words: Words) -> Source:
    """Return the source of alarms that a disk fills; one alarm a disk."""
    paths = tuple(folders)

    async def look(_now: datetime, settings: AlertSettings) -> list[Alarm]:
        found = await asyncio.to_thread(_low_disks, paths, settings.disk_free_gib)
        limit = f"{settings.disk_free_gib:g}"
        return [
            Alarm(
                key=f"disk:{path}",
                text=words("alert.disk", path=path, free=f"{free / _GIB:.1f}", limit=limit),
            )
            for path, free in found
        ]

    return look


def quota_alarms(quota: Quota, words: Words) -> Source:
    """Return the source of the alarms that the month's calls to Feishu come to an end."""

    async def look(_now: datetime, _settings: AlertSettings) -> list[Alarm]:
        if quota.paused_by is not None:
            text = words("alert.quota_spent", until=(quota.paused_until or "")[:10])
            return [Alarm(key="quota", text=text)]
        if quota.nearly_spent:
            text = words("alert.quota", calls=quota.calls, budget=quota.budget)
            return [Alarm(key="quota:near", text=text, repeats=False)]
        return []

    return look


def table_alarms(ledger: Ledger, tables: Iterable[str], words: Words) -> Source:
    """Return the source of alarms on tables that cannot be read or written for some time.

    Not of one that somebody has open: that may well be for hours, and it shows there.
    """
    names = tuple(tables)

    async def look(now: datetime, settings: AlertSettings) -> list[Alarm]:
        alarms = []
        for name in names:
            standing = standing_of(ledger, name)
            for hindrance in (standing.reading, standing.writing):
                if hindrance is None or hindrance.trouble.code in _NO_ALARMS:
                    continue
                minutes = (now - from_timestamp(hindrance.since)).total_seconds() / 60
                if minutes >= settings.server_down_minutes:
                    what = hindrance.trouble.text(words.about(standing.headings))
                    text = words("alert.table", table=name, what=what)
                    alarms.append(Alarm(key=f"table:{name}", text=text))
                    break
        return alarms

    return look


def _low_disks(paths: Iterable[Path], limit_gib: float) -> list[tuple[Path, int]]:
    """Return one path of each disk with less than that free, and how much is."""
    seen: set[int] = set()
    low = []
    for path in paths:
        try:
            device, free = path.stat().st_dev, shutil.disk_usage(path).free
        except OSError:
            continue  # a folder that is not there yet
        if device not in seen and free < limit_gib * _GIB:
            low.append((path, free))
        seen.add(device)
    return low
