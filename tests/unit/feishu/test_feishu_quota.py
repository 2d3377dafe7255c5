"""The month's calls are counted over kills, and held back when there are no more."""

import json

import pytest

from daemon.feishu.bitable import Bitable
from daemon.feishu.errors import FeishuError, Reaction
from daemon.feishu.quota import RESERVED_CALLS, Quota
from tests.fakes.clock import JumpingClock
from tests.fakes.feishu import Column

DAY = 86_400.0


@pytest.fixture
def base(feishu):
    return feishu.base([Column("产品名")])


async def ask(client, base):
    return await Bitable(client, base.app, base.table).fields()


async def test_answered_calls_count_and_tokens_and_errors_of_status_4xx_do_not(
    feishu, client, base
):
    await ask(client, base)
    feishu.fail("bitable.fields", status=502, body=b"")
    await ask(client, base)
    assert client.quota.calls == 2


async def test_used_up_calls_are_held_back_until_the_month_ends_and_over_a_restart(
    feishu, client_of, base, clock
):
    feishu.fail("bitable.fields", 99991403, status=429)
    for client in (client_of(), client_of()):
        with pytest.raises(FeishuError) as caught:
            await ask(client, base)
        assert caught.value.reaction is Reaction.QUOTA
        await client.close()
    assert feishu.count("bitable.fields") == 1
    clock.advance(9 * DAY + 6 * 3600 - 60)  # 21 November 18:00 to 1 December 00:00 in Beijing
    with pytest.raises(FeishuError):
        await ask(client_of(), base)
    clock.advance(61)
    client = client_of()
    assert await ask(client, base)
    assert client.quota.calls == 1


async def test_a_person_may_resume_before_the_month_ends(feishu, client, base):
    feishu.fail("bitable.fields", 99991403, status=429)
    with pytest.raises(FeishuError):
        await ask(client, base)
    await client.quota.resume()
    assert await ask(client, base)


async def test_calls_resumed_by_a_command_pass_in_the_daemon_too(client_of, base, tmp_path, clock):
    daemon = client_of(budget=2)
    for _ in range(2):
        await ask(daemon, base)
    with pytest.raises(FeishuError):
        await ask(daemon, base)
    command = Quota(tmp_path / "quota.json", clock, budget=2)
    await command.resume()
    for _ in range(3):
        assert await ask(daemon, base)
    await daemon.close()
    assert await ask(client_of(budget=2), base)


async def test_a_budget_of_our_own_holds_calls_back_before_feishu_does(feishu, client_of, base):
    client = client_of(budget=10)
    for _ in range(10):
        await ask(client, base)
    assert client.quota.nearly_spent
    with pytest.raises(FeishuError, match="held back until 2026-12-01"):
        await ask(client, base)
    assert (client.quota.paused_by, feishu.count("bitable.fields")) == ("budget", 10)
    await client.quota.resume()
    assert await ask(client, base)


async def test_a_kill_never_counts_too_little_and_little_too_much(tmp_path):
    path, clock = tmp_path / "quota.json", JumpingClock()
    quota = Quota(path, clock)
    for _ in range(2 * RESERVED_CALLS + 3):
        await quota.count()
    after_kill = Quota(path, clock).calls
    assert 0 <= after_kill - quota.calls <= RESERVED_CALLS
    await quota.close()
    assert Quota(path, clock).calls == quota.calls


async def test_counting_writes_the_file_once_in_many_calls(tmp_path):
    path = tmp_path / "quota.json"
    quota = Quota(path, JumpingClock())
    seen = set()
    for _ in range(200):
        await quota.count()
        seen.add(path.stat().st_mtime_ns)
    assert len(seen) <= 1 + 200 // RESERVED_CALLS


async def test_a_damaged_count_begins_anew(tmp_path):
    path = tmp_path / "quota.json"
    path.write_text("{broken")
    quota = Quota(path, JumpingClock())
    await quota.count()
    await quota.close()
    assert json.loads(path.read_text())["calls"] == 1
