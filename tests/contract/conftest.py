"""What the contract suites share."""

from collections.abc import AsyncIterator

import pytest

from daemon.clock import Clock
from tests.fakes.feishu_users import FEISHU_USERS, FeishuUser
from tests.fakes.file_users import FILE_USERS
from tests.fakes.table_user import TableUser


@pytest.fixture
def table_clock() -> Clock | None:
    """The clock of remote tables; one whose pauses take no time unless a suite says otherwise."""
    return None


@pytest.fixture(params=[*FILE_USERS, *FEISHU_USERS], ids=lambda kind: kind.kind)
async def user(request, tmp_path, table_clock) -> AsyncIterator[TableUser]:
    """A person with an empty document; a kind joins the suites by a class more here."""
    is_remote = issubclass(request.param, FeishuUser)
    folder = tmp_path / "document"
    user = request.param(folder, table_clock) if is_remote else request.param(folder)
    if is_remote:
        await user.start()
    yield user
    if is_remote:
        await user.stop()
