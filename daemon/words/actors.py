"""Who did something, as people call them."""

from daemon.words import Words

_KINDS = frozenset({"daemon", "cli", "api", "sweep", "inbox", "table", "repair"})


def who(actor: str, words: Words) -> str:
    """Return the actor of a journal line or of a wish; a kind that is not known stays as it is."""
    kind, _, name = actor.partition(":")
    return words(f"actor.{kind}", name=name) if kind in _KINDS else actor


def cancelled_by(actor: str, words: Words) -> str:
    """Return the sentence that *actor* cancelled a task."""
    return words("actor.cancelled_by", who=who(actor, words))
