"""The bot is told what needs a person: once, merged, again while it lasts, and when it is over."""

import asyncio

import msgspec
import pytest

from config.settings import Alerts as AlertSettings
from daemon.feishu.errors import FeishuError
from daemon.feishu.quota import Quota
from daemon.running import run_services
from daemon.tables.errors import Trouble
from daemon.tables.standing import SECTION, Hindrance, Standing
from daemon.upkeep.alarms import (
    Alarm,
    LedgerAlarms,
    disk_alarms,
    quota_alarms,
    stuck_alarms,
    table_alarms,
)
from daemon.upkeep.alerts import Alerts
from daemon.words import Words
from ledger.batch import BatchStatus
from ledger.entry import Meta
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.timestamps import to_timestamp
from tests.fakes.clock import JumpingClock
from tests.fakes.feishu import FakeFeishu
from tests.fakes.records import batch_record

ZH = Words("zh")


@pytest.fixture
def clock():
    return JumpingClock()


@pytest.fixture
async def bot(clock):
    async with FakeFeishu(clock) as feishu:
        feishu.hook_secret = "demo"
        yield feishu


class House:
    """Alerts over alarms that a test sets."""

    def __init__(self, bot, clock, tmp_path):
        self.settings = AlertSettings(
            feishu_webhook=bot.hook, feishu_webhook_secret="demo", repeat_minutes=60
        )
        self.clock, self.path, self.bot = clock, tmp_path / "alerts.json", bot
        self.now: list[Alarm] = []
        self.alerts = self.again()

    def again(self):
        async def source(_now, _settings):
            return self.now

        return Alerts(self.settings, [source], self.path, self.clock, ZH)

    def has(self, *keys, **more):
        self.now = [Alarm(key=key, text=f"{key}!", **more) for key in keys]

    async def look(self):
        await self.alerts.look()
        texts, self.bot.texts[:] = list(self.bot.texts), []
        return texts


@pytest.fixture
async def house(bot, clock, tmp_path):
    house = House(bot, clock, tmp_path)
    yield house
    await house.alerts._close()


async def test_what_is_new_is_told_once_in_one_message_and_so_is_its_end(house):
    assert await house.look() == []
    house.has("disk", "stuck")
    assert await house.look() == ["【rowkeeper】需要处理：\n• disk!\n• stuck!"]
    assert await house.look() == []
    house.has("stuck", "server")
    assert await house.look() == [
        "【rowkeeper】需要处理：\n• server!\n【rowkeeper】已恢复：\n• disk!"
    ]
    house.has()
    assert await house.look() == ["【rowkeeper】已恢复：\n• stuck!\n• server!"]


async def test_what_lasts_is_told_again_after_the_repeat_interval_only(house, clock):
    house.has("disk")
    await house.look()
    clock.advance(59 * 60)
    assert await house.look() == []
    clock.advance(60)
    assert await house.look() == ["【rowkeeper】仍未解决：\n• disk!"]
    house.has("batch", repeats=False)
    await house.look()
    clock.advance(7 * 86_400)
    assert await house.look() == []


async def test_a_restart_neither_tells_again_nor_forgets_to_tell_the_end(house):
    house.has("disk")
    await house.look()
    await house.alerts._close()
    house.alerts = house.again()
    assert await house.look() == []
    house.has()
    assert await house.look() == ["【rowkeeper】已恢复：\n• disk!"]


async def test_a_message_that_failed_is_sent_later_and_harms_nobody(house, bot):
    house.has("disk")
    bot.fail("bot.send", 9499, times=1)
    with pytest.raises(FeishuError):
        await house.alerts.look()
    stop = asyncio.Event()

    class Other:
        name = "other"

        async def run(self, _stop):
            while not bot.texts:
                await asyncio.sleep(0.01)
            stop.set()

    bot.fail("bot.send", status=502, body=b"<html>", times=2)
    async with asyncio.timeout(10):
        await run_services([house.alerts, Other()], stop, grace_seconds=5)
    assert bot.texts[0] == "【rowkeeper】需要处理：\n• disk!"


async def test_a_storm_of_alarms_is_one_short_message(house):
    house.has(*(f"batch:{n}" for n in range(200)))
    (text,) = await house.look()
    assert text.endswith("…… 另有 185 条")
    assert len(text) < 400


async def test_settings_read_anew_are_used_from_the_next_look_on(house):
    house.alerts.replace(AlertSettings())
    house.has("disk")
    assert await house.look() == []
    house.alerts.replace(house.settings)
    assert len(await house.look()) == 1


async def test_failed_batches_and_silent_servers_are_alarms(clock):
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    batch = batch_record(batch_id="spring-abc", name="spring", status=BatchStatus.FAILED)
    at = to_timestamp(clock.now())
    await ledger.commit(batch, op="batch.failed")
    memory = {"unreachable_since": at}
    for name in ("gpu-a", "gone"):
        await ledger.commit(Meta(section="servers", key=name, value=memory), op="server.noted")
    look = LedgerAlarms(ledger, ["gpu-a", "gpu-b"], Words("en"))
    settings = AlertSettings(server_down_minutes=5)
    assert [alarm.key for alarm in await look(clock.now(), settings)] == ["batch:spring-abc"]
    clock.advance(301)
    silent, failed = await look(clock.now(), settings)
    assert "gpu-a has not answered for 5 minutes" in silent.text
    assert "batch spring-abc resume" in failed.text
    await ledger.close()


async def test_stuck_tasks_low_disks_and_spent_calls_are_alarms(clock, tmp_path):
    settings = AlertSettings(disk_free_gib=1e9)
    low = disk_alarms([tmp_path, tmp_path / "absent", tmp_path], ZH)
    assert [alarm.key for alarm in await low(clock.now(), settings)] == [f"disk:{tmp_path}"]
    assert await disk_alarms([tmp_path], ZH)(clock.now(), AlertSettings(disk_free_gib=1e-9)) == []
    count = 0
    stuck = stuck_alarms(lambda: count, ZH)
    assert await stuck(clock.now(), settings) == []
    count = 3
    assert "3 个任务卡住" in (await stuck(clock.now(), settings))[0].text
    quota = Quota(tmp_path / "quota.json", clock, budget=10)
    look = quota_alarms(quota, ZH)
    for _ in range(9):
        await quota.count()
    assert [alarm.key for alarm in await look(clock.now(), settings)] == ["quota:near"]
    await quota.count()
    (spent,) = await look(clock.now(), settings)
    assert "暂停到 2026-12-01" in spent.text


async def test_a_table_that_stays_hindered_is_an_alarm_unless_somebody_has_it_open(clock):
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    settings = AlertSettings(server_down_minutes=5)
    look = table_alarms(ledger, ["spring", "summer"], Words("en"))
    for name, code in (("spring", "feishu_empty"), ("summer", "in_use")):
        values = {"who": "x", "path": "y"}
        trouble = Trouble(code=code, values=values)
        standing = Standing(reading=Hindrance(trouble=trouble, since=to_timestamp(clock.now())))
        await ledger.commit(
            Meta(section=SECTION, key=name, value=msgspec.to_builtins(standing)), op="table.noted"
        )
    assert await look(clock.now(), settings) == []
    clock.advance(301)
    (alarm,) = await look(clock.now(), settings)
    assert (alarm.key, "permission to manage" in alarm.text) == ("table:spring", True)
    await ledger.close()
