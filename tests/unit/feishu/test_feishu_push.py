"""The long connection brings hints: acknowledged, joined from parts, and found again when lost."""

import asyncio
import logging

import pytest

from daemon.clock import SystemClock
from daemon.feishu.frames import CONTROL, Frame, decode, encode
from daemon.feishu.push import Push
from daemon.running import run_services
from tests.fakes.feishu import Column

FRAME = Frame(
    seq_id=300,
    log_id=2**40,
    service=7,
    headers={"type": "event", "message_id": "m"},
    payload_encoding="gzip",
    payload_type="json",
    payload=b"x" * 200,
    log_id_new="new",
)


def test_a_frame_is_what_it_was_after_encoding_and_decoding():
    assert decode(encode(FRAME)) == FRAME


def test_a_frame_is_encoded_as_protobuf_writes_it():
    ping = Frame(service=7, method=CONTROL, headers={"type": "ping"})
    assert encode(ping).hex() == "0800100018072000" + "2a0c0a04747970651204" + b"ping".hex()


@pytest.mark.parametrize("data", [encode(FRAME)[:-1], b"\xff", b"\x0b"])
def test_what_is_no_frame_is_refused(data):
    with pytest.raises(ValueError, match="frame"):
        decode(data)


async def until(condition):
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)


async def test_news_are_told_acknowledged_and_the_connection_is_found_again(
    feishu, client_of, caplog
):
    caplog.set_level(logging.DEBUG)
    base = feishu.base([Column("产品名")])
    client, told, stop = client_of(clock=SystemClock()), [], asyncio.Event()
    feishu.clock = SystemClock()

    async def documents():
        return [base.app]

    class Talk:
        name = "talk"

        async def run(self, _stop):
            await until(lambda: feishu.frames)
            assert feishu.subscribed == {base.app}
            await feishu.push(base, "record_edited", ["fld1"], parts=3)
            await until(lambda: told)
            await feishu.sockets[-1].close()
            await until(lambda: len(feishu.sockets) == 2)
            await feishu.push(base, "record_added", [])
            await until(lambda: len(told) == 2)
            stop.set()

    await run_services([Push(client, documents, told.append), Talk()], stop, grace_seconds=10)
    edited, added = told
    assert (edited.file_token, edited.table_id) == (base.app, base.table)
    assert (edited.field_ids, added.field_ids) == ({"fld1"}, None)
    acks = [frame for frame in feishu.frames if frame.method != CONTROL]
    assert [frame.payload for frame in acks] == [b'{"code":200}'] * len(acks)
    assert "secret-of-the-gateway" not in caplog.text
    assert feishu.app_secret not in caplog.text
