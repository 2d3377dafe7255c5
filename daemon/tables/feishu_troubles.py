"""What Feishu's failures mean for a table: which of our errors, and the sentence for a person."""

from collections.abc import Iterator
from contextlib import contextmanager

from daemon.feishu.errors import FeishuError, Reaction
from daemon.feishu.wiki import NoDocument
from daemon.tables.errors import (
    InUse,
    Misconfigured,
    OutOfQuota,
    Phrase,
    Refused,
    TableError,
    Trouble,
    Unreachable,
)
from daemon.words.retelling import in_each_language

#: While no calls are left it is looked so often whether a month began or a person resumed.
OUT_OF_QUOTA_SECONDS = 300.0


def trouble_of(error: FeishuError) -> Trouble:
    """Return the sentence on *error*: what it means and which click or setting mends it."""
    said = error.said
    if error.scopes:
        said = f"{said} [{', '.join(error.scopes)}]"
    values = {"number": str(error.code or "–"), "log_id": error.log_id or "–"}
    told: Phrase = in_each_language(said)
    return Trouble(code=f"feishu_{error.about}", values=values, phrases={"said": told})


def table_error(error: FeishuError) -> TableError:
    """Return what *error* is to the callers of a table."""
    kind, wait_seconds = _kind_of(error)
    return kind.of(trouble_of(error), retry_after_seconds=wait_seconds)


def _kind_of(error: FeishuError) -> tuple[type[TableError], float | None]:
    if error.reaction is Reaction.QUOTA:
        return OutOfQuota, OUT_OF_QUOTA_SECONDS
    if error.reaction is Reaction.CONFIG:
        return Misconfigured, None
    if error.reaction is Reaction.ROW:
        return Refused, None
    if error.about in {"conflict", "not_ready"}:
        return InUse, error.wait_seconds
    return Unreachable, error.wait_seconds


@contextmanager
def as_table_errors() -> Iterator[None]:
    """Raise what Feishu says inside as the errors of a table."""
    try:
        yield
    except FeishuError as error:
        raise table_error(error) from error
    except NoDocument as error:
        raise Misconfigured(f"feishu_{error.about}", said=error.said) from error
