"""Run the fake alone, with one Bitable and one spreadsheet to play with."""

import argparse
import asyncio
import sys

from tests.fakes.feishu import Column, FakeFeishu


async def main(port: int) -> None:
    feishu = FakeFeishu()
    await feishu.start(port)
    base = feishu.base(
        [
            *(Column("产品名"), Column("产品图", 17), Column("模特图", 17)),
            *(Column("状态", 3), Column("任务ID"), Column("错误信息")),
            *(Column("输出图片", 17), Column("输出视频", 17)),
        ]
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


def port_given() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.feishu", description=__doc__)
    parser.add_argument("port", type=int, nargs="?", default=0, help="left out, any free one")
    port: int = parser.parse_args().port
    return port


if __name__ == "__main__":
    asyncio.run(main(port_given()))
