from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger.memory import MemoryBackend
from tests.unit.intake.house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path, MemoryBackend())
    await made.ledger.open()
    yield made
    await made.ledger.close()
