import pytest

from daemon.clock import SystemClock
from daemon.comfy.client import ComfyClient
from daemon.comfy.connection import Timeouts
from tests.fakes.replay import GENERATIONS

#: Generous where an answer comes, short where a test waits for one that does not.
QUICK = Timeouts(
    connect_seconds=5, read_seconds=5, submit_seconds=5, change_seconds=5, idle_seconds=5
)


@pytest.fixture(params=GENERATIONS)
def generation(request):
    return request.param


@pytest.fixture
async def client_of():
    """Make clients of a server; they are closed at the end."""
    made = []

    def make(server, *, timeouts=QUICK, clock=None, **options):
        url = server if isinstance(server, str) else server.url
        client = ComfyClient(
            "gpu-a", url, clock=clock or SystemClock(), timeouts=timeouts, **options
        )
        made.append(client)
        return client

    yield make
    for client in made:
        await client.close()
