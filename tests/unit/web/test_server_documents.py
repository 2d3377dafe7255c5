"""What is said of a server is what this daemon saw of it."""

from config.settings import Server
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import Health
from daemon.dispatch.servers import ServerState
from daemon.settle.server_memory import noting
from daemon.web.views import server_document
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from tests.fakes.clock import FakeClock


async def test_what_an_earlier_daemon_saw_of_a_server_is_not_said_of_it_now() -> None:
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    client = ComfyClient("a", "http://127.0.0.1:9", clock=FakeClock())
    state = ServerState(Server(name="a", url=""), client, ledger)
    for seen_before in (True, False):
        await ledger.commit(noting(ledger, "a", reachable=seen_before), op="server.noted")
        assert server_document(state, 0).reachable is None
    state.asked, state.health = True, Health(version="0.3.64", usable=True)
    assert server_document(state, 0).reachable is True
    state.lost()  # a step found out before the next question, and nobody noted it yet
    assert server_document(state, 0).reachable is False
    await client.close()
