"""Stuck tasks: the check, which changes nothing, and the recovery."""

from daemon.upkeep.status_check import StatusCheck
from daemon.upkeep.stuck import RecoveryResult
from daemon.web.asked import CheckQuery, RecoveryQuery
from daemon.web.decoding import Nothing
from daemon.web.endpoint import Call


async def status_check(call: Call[CheckQuery, Nothing]) -> StatusCheck:
    """Answer how every task in process really stands."""
    minutes = call.query.max_runtime_minutes
    return await call.desk.stuck.check(call.words, max_runtime_minutes=minutes)


async def recovery(call: Call[RecoveryQuery, Nothing]) -> RecoveryResult:
    """Set right what is stuck; the ledger is backed up first."""
    return await call.desk.stuck.recover(
        call.words,
        actor=call.actor,
        force_reset=call.query.force_reset,
        max_runtime_minutes=call.query.max_runtime_minutes,
    )
