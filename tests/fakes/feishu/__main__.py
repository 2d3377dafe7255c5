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
    sys.stdout.write(
        f'[feishu]\nbase_url = "{feishu.url}"\n'
        f'app_id = "{feishu.app_id}"\napp_secret = "{feishu.app_secret}"\n'
        f"# {feishu.url}/base/{base.app}?table={base.table}\n"
        f"# {feishu.url}/sheets/{book.token}\n"
    )
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
