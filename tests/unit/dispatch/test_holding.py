"""What is logged when a batch is held."""

from structlog.testing import capture_logs

from daemon.clock import SystemClock
from daemon.dispatch.holding import Holding
from daemon.dispatch.ready import ReadyRows
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from tests.fakes.records import batch_record, task_record


async def test_a_held_batch_is_logged_by_its_id_as_everywhere() -> None:
    ledger, clock = Ledger(MemoryBackend()), SystemClock()
    await ledger.open()
    await ledger.commit(batch_record(), task_record(), op="batch.accepted")
    ready = ReadyRows(ledger, clock, stage_order=False, affinity=True, takes_work=lambda _: False)
    await ready.load()
    with capture_logs() as logs:
        await Holding(ledger, ready, [], clock).review()
    assert logs == [
        {
            "event": "batch.held",
            "log_level": "info",
            "batch": batch_record().batch_id,
            "why": "server_unreachable",
        }
    ]
