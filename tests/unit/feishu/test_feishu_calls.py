"""Every documented error code has its reaction; what heals by itself is healed, nothing else."""

import asyncio
import logging
import re
from pathlib import Path

import msgspec
import pytest

from daemon.feishu.bitable import Bitable
from daemon.feishu.codes import CODES, MOST_TRIES, UNKNOWN_TRIES
from daemon.feishu.errors import FeishuError, Reaction
from daemon.words import Words
from tests.fakes.feishu import Column

R = Reaction

#: The reference's tables, read again independently of the code: what must follow from each code.
EXPECTED = {
    R.TOKEN_BAD: {99991661, 99991663, 99991664, 99991665},
    R.RATE: {99991400, 1254290, 1254112, 90217, 1310217, 1061045, 11232, 11233, 11247},
    R.TRANSIENT: {
        *{2200, 5000, 55001, 1254291, 1254607, 1254036, 1255040, 1254002, 1255006, 1254608},
        *{1255001, 1255002, 1255003, 1255004, 1255005, 90235, 90203, 90228, 90242},
        *{1310235, 1310242, 1315201, 1315203, 1061001, 1061006, 1062012, 1062008, 1062009},
    },
    R.CONFIG: {
        *{99991668, 99991677, 99991671, 10014, 10015, 20002, 99991543, 99991662, 99991673},
        *{99991672, 99991679, 99991676, 99991401, 91402, 91403, 9499, 99992402},
        *{1254040, 1254041, 1254042, 1254044, 1254045, 1254024, 1254003, 1254004, 1254005},
        *{1254006, 1254009, 1254016, 1254018, 1254107, 1254108, 1254030, 1254104, 1254103},
        *{1254105, 1254106, 1254306, 1254302, 1254304, 1254301, 1254000, 1254001, 1254007},
        *{1254010, 1254037, 90201, 90202, 90204, 90206, 90211, 90215, 90212, 90213, 90214},
        *{90218, 90219, 90221, 90226, 90227, 1310202, 1310211, 1310215, 1310213, 1310214},
        *{1310218, 1310247, 1310249, 1310251, 1061002, 1061003, 1061007, 1061004, 1061005},
        *{1061041, 1061044, 1061042, 1061061, 1061101, 1061073, 1069603},
        *{19021, 19022, 19024},
    },
    R.ROW: {
        *{1254043, 1254015, 1254072, 1254074, *range(1254060, 1254070), 1254027, 1254303},
        *{1254130, 90222, 90216, 1310245, 1061043, 1061021, 1061109, 1061113, 1062007, 1062010},
        *{19002, 19036, 1061008, 1062011},
    },
    R.QUOTA: {99991403},
}


def test_the_table_of_codes_is_the_references():
    assert {code: meaning.reaction for code, meaning in CODES.items()} == {
        code: reaction for reaction, codes in EXPECTED.items() for code in codes
    }


def test_every_code_has_words_in_both_languages():
    values = {"said": "x", "number": "1", "log_id": "l"}
    for about in {meaning.about for meaning in CODES.values()} | {
        "unknown",
        "no_answer",
        "no_json",
        "file_empty",
    }:
        for language in ("zh", "en"):
            assert Words(language)(f"table.feishu_{about}", **values)


async def fields(client, base):
    return await Bitable(client, base.app, base.table).fields()


@pytest.mark.parametrize("code", sorted(CODES))
async def test_each_code_gets_the_reaction_of_its_class(code, feishu, client, clock):
    base = feishu.base([Column("产品名")])
    meaning = CODES[code]
    feishu.fail("bitable.fields", code, times=99)
    with pytest.raises(FeishuError) as caught:
        await fields(client, base)
    error = caught.value
    assert (error.reaction, error.code) == (meaning.reaction, code)
    assert error.log_id.startswith("log-")
    expected = {
        R.TOKEN_BAD: 2,
        R.RATE: MOST_TRIES,
        R.TRANSIENT: meaning.tries,
        R.CONFIG: 1,
        R.ROW: 1,
        R.QUOTA: 1,
    }[meaning.reaction]
    assert feishu.count("bitable.fields") == expected
    assert len(clock.pauses) == (0 if meaning.reaction is R.TOKEN_BAD else expected - 1)
    assert feishu.count("auth.token") == (2 if meaning.reaction is R.TOKEN_BAD else 1)
    assert (client.quota.paused_by == "feishu") is (meaning.reaction is R.QUOTA)


async def test_what_heals_is_healed_by_the_next_try(feishu, client):
    base = feishu.base([Column("产品名")])
    for code, meaning in CODES.items():
        if meaning.reaction in (R.TOKEN_BAD, R.RATE, R.TRANSIENT):
            feishu.fail("bitable.fields", code)
            assert [field.name for field in await fields(client, base)] == ["产品名"], code


async def test_a_code_nobody_documented_is_tried_twice_and_told_with_its_log_id(feishu, client):
    base = feishu.base([Column("产品名")])
    feishu.fail("bitable.fields", 77777777, times=9)
    with pytest.raises(FeishuError, match=r"77777777, log id log-\d") as caught:
        await fields(client, base)
    assert caught.value.reaction is R.UNKNOWN
    assert feishu.count("bitable.fields") == UNKNOWN_TRIES


async def test_eight_callers_at_once_fetch_one_token(feishu, client):
    base = feishu.base([Column("产品名")])
    await asyncio.gather(*(fields(client, base) for _ in range(8)))
    assert feishu.names() == {"auth.token": 1, "bitable.fields": 8}


async def test_eight_callers_whose_token_died_fetch_one_new_token(feishu, client):
    base = feishu.base([Column("产品名")])
    await fields(client, base)
    feishu.expire_tokens()
    await asyncio.gather(*(fields(client, base) for _ in range(8)))
    assert feishu.count("auth.token") == 2


async def test_a_token_is_renewed_before_it_ends_and_not_too_early(feishu, client, clock):
    base = feishu.base([Column("产品名")])
    await fields(client, base)
    clock.advance(7200 - 26 * 60)
    await fields(client, base)
    assert feishu.count("auth.token") == 1
    clock.advance(2 * 60)
    await fields(client, base)
    assert feishu.count("auth.token") == 2


async def test_a_renewal_that_fails_does_not_fail_the_call(feishu, client, clock):
    base = feishu.base([Column("产品名")])
    await fields(client, base)
    clock.advance(7200 - 20 * 60)
    feishu.fail("auth.token", 10014)
    assert await fields(client, base)


async def test_a_wrong_secret_is_told_once_and_never_tried_again(feishu, client_of):
    base = feishu.base([Column("产品名")])
    with pytest.raises(FeishuError) as caught:
        await fields(client_of(app_secret="wrong"), base)
    assert (caught.value.reaction, caught.value.about) == (R.CONFIG, "credentials")
    assert feishu.names() == {"auth.token": 1}


async def test_a_rate_limit_is_waited_for_as_long_as_it_says(feishu, client, clock):
    base = feishu.base([Column("产品名")])
    feishu.fail("bitable.fields", 99991400, status=429, headers={"x-ogw-ratelimit-reset": "17"})
    await fields(client, base)
    assert clock.pauses == [17.5]


@pytest.mark.parametrize(("status", "tries"), [(502, 6), (429, 6), (200, 3), (404, 3)])
@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b""])
async def test_an_answer_that_is_no_json_is_tried_again(status, tries, body, feishu, client):
    base = feishu.base([Column("产品名")])
    feishu.fail("bitable.fields", status=status, body=body, times=tries - 1)
    assert await fields(client, base)
    feishu.fail("bitable.fields", status=status, body=body, times=99)
    with pytest.raises(FeishuError, match=f"status {status} without JSON"):
        await fields(client, base)


async def test_a_connection_that_drops_is_tried_again(feishu, client):
    base = feishu.base([Column("产品名")])
    feishu.fail("bitable.fields", drops=True, times=2)
    assert await fields(client, base)


async def test_a_lacking_scope_is_told_by_name(feishu, client):
    base = feishu.base([Column("产品名")])
    document = {
        "code": 99991672,
        "msg": "Access denied.",
        "error": {"permission_violations": [{"type": "x", "subject": "bitable:app"}]},
    }
    feishu.fail("bitable.fields", status=400, body=msgspec.json.encode(document))
    with pytest.raises(FeishuError) as caught:
        await fields(client, base)
    assert caught.value.scopes == ("bitable:app",)


async def test_no_secret_ever_reaches_a_log_or_an_error(feishu, client, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    base = feishu.base([Column("产品名")])
    await fields(client, base)
    (token,) = feishu.tokens
    for code in (99991663, 1254290, 1254045):
        document = {"code": code, "msg": f"{token} {feishu.app_secret} is bad"}
        feishu.fail("bitable.fields", body=msgspec.json.encode(document))
    with pytest.raises(FeishuError) as caught:
        await fields(client, base)
    logged = caplog.text + str(caught.value) + repr(caught.value.said)
    assert "1254045" in logged
    for secret in (token, feishu.app_secret, *feishu.tokens):
        assert secret not in logged
    assert not re.search(r"Bearer|app_secret", logged)
    assert token not in Path(tmp_path / "quota.json").read_text()
