"""Drain and resume a server; what an answer says in which language."""

import pytest

from daemon.actions import batches, servers
from daemon.words import Words
from daemon.words.catalogue import CATALOGUE
from ledger.entry import Meta
from tests.unit.actions.house import BATCH, LATER, House, row


@pytest.fixture
async def house() -> House:
    opened = await House().open(row(1))
    known = Meta(section="servers", key="gpu-a", value={"client_id": "c"})
    await opened.ledger.commit(known, op="server.noted")
    return opened


async def test_a_server_is_drained_and_resumed_once_each(house: House) -> None:
    drained = await house.do(servers.drain(house.ledger, "gpu-a", at=LATER))
    again = await house.do(servers.drain(house.ledger, "gpu-a", at=LATER))
    assert (drained["changed"], again["changed"]) == (True, False)
    assert house.ledger.meta("servers")["gpu-a"] == {
        "client_id": "c",
        "drained": True,
        "drained_at": LATER,
    }
    back = await house.do(servers.resume(house.ledger, "gpu-a", at=LATER))
    once_more = await house.do(servers.resume(house.ledger, "gpu-a", at=LATER))
    assert (back["changed"], back["drained"], once_more["changed"]) == (True, False, False)


async def test_a_server_of_the_settings_may_be_drained_before_it_was_ever_met(
    house: House,
) -> None:
    told = await house.refused(lambda: servers.drain(house.ledger, "gpu-b", at=LATER))
    assert told == "404 unknown_server {'id': 'gpu-b'}"
    plan = servers.drain(house.ledger, "gpu-b", at=LATER, known=["gpu-a", "gpu-b"])
    assert (await house.do(plan))["changed"] is True


async def test_an_answer_speaks_the_language_of_the_one_who_asked(house: House) -> None:
    plan = batches.pause(house.ledger, BATCH, at=LATER)
    assert str(plan.told(Words("zh"))["message"]).startswith("已暂停")
    assert str(plan.told(Words("en"))["message"]).startswith("Paused")


def test_every_refusal_of_an_action_has_words() -> None:
    verbs = ("pause_stopped", "pause_failed", "pause_completed")
    verbs += ("resume_running", "resume_completed", "stop_completed")
    codes = {f"cannot_{verb}" for verb in verbs} | {
        "files_gone",
        "rerun_column",
        "rerun_nothing",
        "rerun_picture_column",
        "rerun_priority",
        "rerun_stage",
        "retry_done",
        "retry_family_done",
        "retry_family_open",
        "retry_open",
        "unknown_server",
    }
    for code in codes:
        assert f"error.{code}.message" in CATALOGUE["zh"]
        assert f"error.{code}.hint" in CATALOGUE["en"]
