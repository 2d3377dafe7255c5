"""What a call to Feishu can end with.

FeishuError     the one error; ``reaction`` tells what helps, ``about`` names the words for it
"""

from enum import StrEnum


class Reaction(StrEnum):
    """What helps against a failure; decided by the code alone, never by the HTTP status."""

    TOKEN_BAD = "token_bad"  # noqa: S105 - a class of failure #: a new token helps
    RATE = "rate"  #: waiting helps, as long as the answer says
    TRANSIENT = "transient"  #: trying again later helps
    UNKNOWN = "unknown"  #: nobody knows; tried again once
    CONFIG = "config"  #: a person must change something at Feishu or in our settings
    ROW = "row"  #: this row, value or file cannot be taken; the others can
    QUOTA = "quota"  #: nothing helps before the next month, or a larger plan


class FeishuError(Exception):
    """A call failed for good, after the tries that its reaction allows.

    ``about`` is the key of ``feishu.<about>.meaning`` and ``feishu.<about>.mend`` in the
    catalogue; ``log_id`` is what Feishu's support asks for. The text holds no secret.
    """

    def __init__(
        self,
        reaction: Reaction,
        about: str,
        *,
        call: str,
        code: int | None = None,
        said: str = "",
        log_id: str = "",
        tries: int = 1,
        wait_seconds: float | None = None,
        scopes: tuple[str, ...] = (),
    ) -> None:
        self.reaction = reaction
        self.about = about
        self.call = call
        self.code = code
        self.said = said
        self.log_id = log_id
        self.tries = tries  # how often such a call is sent at most
        self.wait_seconds = wait_seconds  # what the answer asked for
        self.scopes = scopes  # the scopes that the app lacks, one of which would do
        parts = [f"{call}: {said or about}"]
        parts += [f"code {code}"] if code is not None else []
        parts += [f"log id {log_id}"] if log_id else []
        super().__init__(", ".join(parts))
