"""The bot is told what it should be told, signed, not too fast, and its address stays secret."""

import logging

import pytest

from daemon.feishu.errors import FeishuError
from daemon.feishu.webhook import Webhook, sign


@pytest.mark.parametrize(
    ("timestamp", "signature"),
    [
        (100, "jquNHnVOwmDRfw+vqTIrY5dooJAgi5EcRtLsQE4wfXg="),
        (1599360473, "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="),
    ],
)
def test_the_signature_is_the_documented_one(timestamp, signature):
    assert sign(timestamp, "demo") == signature


async def test_a_text_is_signed_and_bears_the_keyword(feishu, clock):
    feishu.hook_secret, feishu.hook_keyword = "demo", "告警"
    hook = Webhook(feishu.hook, clock, secret="demo", keyword="告警")
    await hook.send("队列停止")
    await hook.send("告警：队列停止")
    await hook.close()
    assert feishu.texts == ["告警 队列停止", "告警：队列停止"]


async def test_messages_keep_a_second_between_them(feishu, clock):
    hook = Webhook(feishu.hook, clock)
    for n in range(4):
        await hook.send(str(n))
    await hook.close()
    gaps = [b - a for a, b in zip(feishu.text_at, feishu.text_at[1:], strict=False)]
    assert min(gaps) >= 1.0


@pytest.mark.parametrize(
    ("secret", "keyword", "about"),
    [("wrong", "告警", "hook_sign"), ("demo", "", "hook_keyword")],
)
async def test_a_refusal_says_what_mends_it(secret, keyword, about, feishu, clock):
    feishu.hook_secret, feishu.hook_keyword = "demo", "告警"
    hook = Webhook(feishu.hook, clock, secret=secret, keyword=keyword)
    with pytest.raises(FeishuError) as caught:
        await hook.send("x")
    await hook.close()
    assert caught.value.about == about


async def test_neither_address_nor_secret_is_in_an_error_or_a_log(feishu, clock, caplog):
    caplog.set_level(logging.DEBUG)
    told = []
    await feishu.stop()
    for address in (
        feishu.hook,
        "http://hook-address-secret.invalid:1/x",
        "http://[hook-address-secret",
    ):
        hook = Webhook(address, clock, secret="demo")
        with pytest.raises(FeishuError) as caught:
            await hook.send("x")
        await hook.close()
        told.append(str(caught.value))
    assert "hook-address-secret" not in caplog.text + "".join(told)
