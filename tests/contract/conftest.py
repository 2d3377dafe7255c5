"""What the contract suites share."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.feishu_users import FEISHU_USERS, FeishuUser
from tests.fakes.file_users import FILE_USERS
from tests.fakes.table_user import TableUser


@pytest.fixture(params=[*FILE_USERS, *FEISHU_USERS], ids=lambda kind: kind.kind)
async def user(request, tmp_path) -> AsyncIterator[TableUser]:
    """A person with an empty document; a kind joins the suites by a class more here."""
    user = request.param(tmp_path / "document")
    is_remote = isinstance(user, FeishuUser)
    if is_remote:
        await user.start()
    yield user
    if is_remote:
        await user.stop()
