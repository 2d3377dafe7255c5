"""A workbook's formulas without stored results, as programs that only write them leave them."""

import openpyxl
from PIL import Image

from daemon.comfy.simulator import Simulator
from tests.fakes.world import World

HEADINGS = ("产品名", "产品图", "模特图", "提示词", "任务ID", "状态", "错误信息", "合计")


async def test_a_formula_without_a_result_refuses_its_row_only_in_a_column_with_a_use(tmp_path):
    picture = tmp_path / "pot.png"
    Image.new("RGB", (40, 32)).save(picture)
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(HEADINGS)
    sheet.append(("茶壶", str(picture), str(picture), "白底", None, None, None, "=1+2"))
    sheet.append(("杯子", str(picture), str(picture), '="白"&"底"', None, None, None, "#N/A"))
    sheet.append((None, None, None, None, None, None, None, "=1+2"))
    book.save(tmp_path / "t.xlsx")
    table = '[[tables]]\nname = "t"\nkind = "xlsx"\n' + f'path = "{tmp_path / "t.xlsx"}"\n'
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", simulator.url, more=table)
        assert await world.run_here() == 1
    _, good, bad, template = openpyxl.load_workbook(tmp_path / "t.xlsx").worksheets[0].values
    assert good[5:] == ("已完成", None, "=1+2")
    assert bad[4:7] == (None, None, "单元格 D3 的公式没有存储结果；请用 Excel 打开并保存")
    assert template[4:7] == (None, None, None)
    (task,) = world.tasks()
    assert "合计" not in task.metadata.feishu_row_data
