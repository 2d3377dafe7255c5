"""A command that was refused: the same code, message and hint as by HTTP."""

from collections.abc import Mapping
from typing import IO

import click

from daemon.words import Words
from daemon.words.values import visible
from ledger.task import Json

#: HTTP's words for what makes no sense, and for what somebody else holds.
BAD_REQUEST, LOCKED = 400, 423


class Refusal(click.ClickException):
    """Nothing was changed, or nobody knows; ``message`` says which, ``hint`` what to do."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint

    def format_message(self) -> str:
        """Return message and hint on one line; Chinese needs no blank between them."""
        between = "" if self.message.endswith("。") else " "
        return f"{self.message}{between}{self.hint}".rstrip()

    def show(self, file: IO[str] | None = None) -> None:
        """Print message and hint to stderr."""
        click.echo(self.format_message(), file=file, err=file is None)

    def document(self) -> dict[str, Json]:
        """Return the answer that HTTP gives."""
        error: dict[str, Json] = {"code": self.code, "message": self.message, "hint": self.hint}
        return {"success": False, "error": error}


class Misuse(Refusal):
    """What was given makes no sense at all."""

    exit_code = 2


class InUse(Refusal):
    """Another process holds the ledger, and cannot be asked."""

    exit_code = 3


_KINDS: Mapping[int, type[Refusal]] = {BAD_REQUEST: Misuse, LOCKED: InUse}


def refusal(code: str, message: str, hint: str, *, status: int) -> Refusal:
    """Return the refusal that HTTP would give with *status*."""
    return _KINDS.get(status, Refusal)(code, message, hint)


def worded(code: str, words: Words, values: Mapping[str, object], *, status: int = 409) -> Refusal:
    """Return the refusal that the catalogue has under ``error.<code>``; blanks show in quotes."""
    values = {name: visible(each) for name, each in values.items()}
    message = words(f"error.{code}.message", **values)
    return refusal(code, message, words(f"error.{code}.hint", **values), status=status)
