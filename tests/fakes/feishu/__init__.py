"""A Feishu of our own on 127.0.0.1, as strict as its documentation; ``python -m tests.fakes.feishu``
runs it alone."""

from tests.fakes.feishu.bitable import Base, Column
from tests.fakes.feishu.server import FakeFeishu
from tests.fakes.feishu.sheets import Book, Picture

__all__ = ["Base", "Book", "Column", "FakeFeishu", "Picture"]
