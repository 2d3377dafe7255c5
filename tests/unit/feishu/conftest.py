import pytest

from daemon.feishu.client import Client
from daemon.feishu.quota import Quota
from daemon.feishu.wire import Timeouts
from tests.fakes.clock import JumpingClock
from tests.fakes.feishu import FakeFeishu


@pytest.fixture
def clock():
    return JumpingClock()


@pytest.fixture
async def feishu(clock):
    async with FakeFeishu(clock) as server:
        yield server


@pytest.fixture
async def client_of(tmp_path, clock, feishu):
    """Make clients of the fake; they are closed at the end."""
    made = []

    def make(**options):
        known = {"app_id": feishu.app_id, "app_secret": feishu.app_secret, "clock": clock}
        budget = options.pop("budget", 0)
        quota = Quota(tmp_path / "quota.json", clock, budget=budget)
        quick = Timeouts(connect_seconds=5, json_seconds=5, idle_seconds=5)
        client = Client(
            base_url=feishu.url,
            quota=quota,
            timeouts=quick,
            random=lambda: 0.5,
            **{**known, **options},
        )
        made.append(client)
        return client

    yield make
    for client in made:
        await client.close()


@pytest.fixture
def client(client_of):
    return client_of()
