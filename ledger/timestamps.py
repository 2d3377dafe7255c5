"""Moments as the ledger writes them: ``2026-11-21T10:00:00.000Z``, UTC, always with milliseconds.

The fixed width makes their order as text the order in time.
"""

from datetime import UTC, datetime

import msgspec


def to_timestamp(moment: datetime) -> str:
    """Return *moment* (aware) as the ledger writes it; finer than a millisecond is cut off."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    text: str = msgspec.to_builtins(utc)  # to the microsecond if there is one; isoformat takes 10 ×
    return f"{text[:23]}Z" if utc.microsecond else f"{text[:19]}.000Z"


def from_timestamp(text: str) -> datetime:
    """Return the aware moment that ``to_timestamp`` wrote; raises ValueError for other text."""
    return datetime.fromisoformat(text)
