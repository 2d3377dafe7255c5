"""A command that was refused: the same code, message and hint as by HTTP."""

from collections.abc import Mapping
from typing import IO, Self

import click

from daemon.words import Words
from ledger.task import Json

#: HTTP's word for what makes no sense; on the command line it is bad usage.
BAD_REQUEST = 400


class Refusal(click.ClickException):
    """Nothing was changed, or nobody knows; ``message`` says which, ``hint`` what to do."""

    def __init__(self, code: str, message: str, hint: str, *, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        self.status = status

    @classmethod
    def worded(
        cls, code: str, words: Words, values: Mapping[str, Json], *, status: int = 409
    ) -> Self:
        """Return the refusal that the catalogue has under ``error.<code>``."""
        message = words(f"error.{code}.message", **values)
        return cls(code, message, words(f"error.{code}.hint", **values), status=status)

    @property
    def is_bad_request(self) -> bool:
        """Whether what was given makes no sense at all."""
        return self.status == BAD_REQUEST

    def format_message(self) -> str:
        """Return message and hint on one line."""
        return f"{self.message} {self.hint}".rstrip()

    def show(self, file: IO[str] | None = None) -> None:
        """Print message and hint to stderr."""
        click.echo(self.format_message(), file=file, err=file is None)

    def document(self) -> dict[str, Json]:
        """Return the answer that HTTP gives."""
        error: dict[str, Json] = {"code": self.code, "message": self.message, "hint": self.hint}
        return {"success": False, "error": error}
