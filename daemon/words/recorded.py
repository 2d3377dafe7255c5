"""Sentences for records and the journal: English, made by the very entry that has the Chinese.

So whatever is written can be retold to a reader of the other language (``retelling``), as can what
earlier versions wrote (``former``).
"""

from daemon.words import Words

_ENGLISH = Words("en")


def recorded(key: str, **values: object) -> str:
    """Return the sentence ``reason.<key>`` as records have it; raises KeyError."""
    return _ENGLISH(f"reason.{key}", **values)


def together(*reasons: str) -> str:
    """Return reasons that hold together as one; each is retold by itself."""
    return "; ".join(reasons)
