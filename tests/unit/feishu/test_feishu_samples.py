"""The answers that the official documentation quotes are understood, and the fake gives the same."""

import json

import pytest

from daemon.feishu.bitable import Bitable, Field
from daemon.feishu.sheets import Spreadsheet
from daemon.feishu.webhook import Webhook
from daemon.tables.feishu_grid import files_of
from daemon.tables.feishu_values import held
from ledger.task import Json
from tests.fakes.feishu import Column
from tests.fakes.likeness import same_shape

SEARCH = """{"code":0,"data":{"has_more":false,"page_token":"","total":1,"items":[{"record_id":
"recA1","fields":{},"created_time":1691049973000,"last_modified_time":1702455191000,
"last_modified_by":{"id":"ou_1","name":"n"}}]}}"""
VALUES = """{"code":0,"data":{"revision":7,"spreadsheetToken":"sht","valueRange":{"range":
"Q7PlXT!A1:J500","majorDimension":"ROWS","revision":7,"values":[["产品名","产品图","状态"],
["T恤",{"type":"embed-image","fileToken":"UeZ","width":3278,"height":1994,"link":
"https://internal-api-drive-stream","text":""},null]]}}}"""
WRITTEN = """{"code":0,"data":{"revision":88,"responses":[{"updatedRange":"Q7PlXT!H12:H12",
"updatedRows":1,"updatedColumns":1,"updatedCells":1}]}}"""
HOOKED = """{"code":0,"msg":"success","data":{},"StatusCode":0,"StatusMessage":"success"}"""
#: Type of a column, a cell as it is read, and what it is to us.
CELLS: list[tuple[int, Json, object]] = [
    (1, [{"type": "text", "text": "a"}, {"type": "url", "text": "x", "link": "https://y"}], "ax"),
    (1, [{"type": "mention", "mentionType": "User", "text": "@张三", "token": "ou_1"}], "@张三"),
    (1, "plain", "plain"),
    (2, 3.5, 3.5),
    (3, "待处理", "待处理"),
    (4, ["a", "b"], "a, b"),
    (7, True, "是"),
    (13, "131", "131"),
    (15, {"text": "t", "link": "https://y"}, "t"),
    (18, {"link_record_ids": ["rec1", "rec2"]}, "rec1, rec2"),
    (20, {"type": 1, "value": [{"type": "text", "text": "f"}]}, "f"),
    (20, {"type": 2, "value": [7]}, "7"),
    (11, [{"id": "ou_1", "name": "张三"}], "张三"),
    (1, None, None),
]


@pytest.mark.parametrize(("kind", "value", "expected"), CELLS)
def test_every_documented_cell_of_a_bitable_is_read(kind, value, expected):
    assert held(Field("fld1", "列", kind), value) == expected


def test_attachments_are_files_in_a_column_of_their_own_and_in_a_lookup():
    told = {"file_token": "Vl3", "name": "a.jpg", "type": "image/jpeg", "size": 32975, "url": "u"}
    (file,) = held(Field("fld1", "图", 17), [told])
    assert (file.token, file.name, file.size_bytes) == ("Vl3", "a.jpg", 32975)
    assert held(Field("fld1", "图", 19), {"type": 17, "value": [told]}) == (file,)


async def test_the_quoted_answers_are_understood(feishu, client, clock):
    feishu.fail("bitable.search", body=SEARCH.encode())
    base = feishu.base([Column("产品名")])
    (record,) = await Bitable(client, base.app, base.table).search([])
    assert (record.record_id, record.fields) == ("recA1", {})
    book = feishu.book()
    feishu.fail("sheets.read", body=VALUES.encode())
    _, row = await Spreadsheet(client, book.token).read("Q7PlXT!A1:J500")
    assert [file.token for file in files_of(row[1])] == ["UeZ"]
    feishu.fail("sheets.write", body=WRITTEN.encode())
    await Spreadsheet(client, book.token).write({"Q7PlXT!H12:H12": "生成中"})
    feishu.fail("bot.send", body=HOOKED.encode())
    hook = Webhook(feishu.hook, clock)
    await hook.send("x")
    await hook.close()


async def test_the_fake_answers_in_the_quoted_shapes(feishu, client):
    base = feishu.base([Column("产品名")])
    base.add({})
    book = feishu.book()
    sheet = book.sheets[0]
    sheet.grid = [["a"]]
    seen = await answers_of(
        client,
        Bitable(client, base.app, base.table).search([]),
        Spreadsheet(client, book.token).read(f"{sheet.sheet_id}!A1:A1"),
        Spreadsheet(client, book.token).write({f"{sheet.sheet_id}!A1:A1": "b"}),
    )
    same_shape(json.loads(SEARCH)["data"], seen[0])
    quoted = json.loads(VALUES)["data"]
    quoted["valueRange"]["values"] = seen[1]["valueRange"]["values"]
    same_shape(quoted, seen[1])
    assert set(seen[2]) == set(json.loads(WRITTEN)["data"])


async def answers_of(client, *calls):
    """Return the data of the answers to *calls* as they came over the wire."""
    seen = []
    send = client._wire.send

    async def listen(*args, **more):
        reply = await send(*args, **more)
        if "data" in (answer := json.loads(reply.body)):
            seen.append(answer["data"])
        return reply

    client._wire.send = listen
    for call in calls:
        await call
    return seen
