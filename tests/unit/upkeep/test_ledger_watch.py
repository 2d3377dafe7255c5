"""A ledger whose folder was taken away under the daemon is no ledger any more."""

import asyncio
from pathlib import Path

import pytest

from daemon.upkeep.ledger_watch import ASK_SECONDS, LedgerWatch
from ledger.errors import LedgerGone
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from tests.fakes.clock import FakeClock
from tests.fakes.records import batch_record


async def test_a_folder_that_was_moved_away_ends_the_daemon_which_says_where_it_was(
    tmp_path: Path,
) -> None:
    folder, clock = tmp_path / "ledger", FakeClock()
    ledger = Ledger(JsonDirBackend(folder))
    await ledger.open()
    watching = asyncio.ensure_future(LedgerWatch(ledger, clock).run(asyncio.Event()))
    clock.advance(ASK_SECONDS)
    await asyncio.sleep(0.1)
    assert not watching.done()
    await ledger.commit(batch_record(), op="test")
    folder.rename(tmp_path / "elsewhere")
    async with asyncio.timeout(5):
        while not watching.done():
            clock.advance(ASK_SECONDS)
            await asyncio.sleep(0.01)
    with pytest.raises(LedgerGone, match=str(folder)):
        await watching
    await ledger.close()
    (tmp_path / "elsewhere").rename(folder)  # the person brings it back
    ledger = Ledger(JsonDirBackend(folder))
    await ledger.open()
    assert [batch.batch_id for batch in ledger.batches()] == [batch_record().batch_id]
    await ledger.close()
