"""Run the fake alone, with one Bitable and one spreadsheet to play with."""

import asyncio
import sys

from tests.fakes.feishu import Column, FakeFeishu


async def main(port: int) -> None:
    feishu = FakeFeishu()
    await feishu.start(port)
    base = feishu.base(
        [Column("产品名"), Column("产品图", 17), Column("状态", 3), Column("任务ID")]
    )
    book = feishu.book()
    print(f'[feishu]\nbase_url = "{feishu.url}"', flush=True)
    print(f'app_id = "{feishu.app_id}"\napp_secret = "{feishu.app_secret}"', flush=True)
    print(f"# {feishu.url}/base/{base.app}?table={base.table}", flush=True)
    print(f"# {feishu.url}/sheets/{book.token}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
