"""What every answer of Feishu is wrapped in, and what it says when it is no success.

``{"code":0,"msg":"…","data":{…}}``, a failure with ``"error":{"permission_violations":[…]}``. A
gateway's failure may be HTML or nothing at all; then the HTTP status is all there is to judge by.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import NoReturn

import msgspec

from daemon.feishu.codes import DOUBTFUL_TRIES, MOST_TRIES, Meaning, meaning_of
from daemon.feishu.errors import FeishuError, Reaction
from daemon.feishu.limits import reset_seconds
from daemon.feishu.wire import Reply
from daemon.words.recorded import recorded

_SAID_CHARACTERS = 300
_HTTP_RATE = Meaning(Reaction.RATE, "rate", MOST_TRIES)
_HTTP_BUSY = Meaning(Reaction.TRANSIENT, "no_json", MOST_TRIES)
_FILE_STATUSES: dict[int, Meaning] = {
    HTTPStatus.BAD_REQUEST: Meaning(Reaction.CONFIG, "advanced"),
    HTTPStatus.FORBIDDEN: Meaning(Reaction.CONFIG, "no_collaborator"),
    HTTPStatus.NOT_FOUND: Meaning(Reaction.ROW, "file_gone"),
}
_HTTP_ODD = Meaning(Reaction.TRANSIENT, "no_json", DOUBTFUL_TRIES)


class Violation(msgspec.Struct, frozen=True):
    """A right that the app lacks; *subject* is the scope's name."""

    subject: str = ""


class Detail(msgspec.Struct, frozen=True):
    """What a failure may add."""

    log_id: str = ""
    permission_violations: tuple[Violation, ...] = ()


class Envelope(msgspec.Struct, frozen=True):
    """An answer's frame; a token stands at its top level, all else under ``data``."""

    code: int
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")
    error: Detail | None = None
    tenant_access_token: str = ""
    expire: float = 0  # seconds


def opened(reply: Reply, call: str, secrets: Iterable[str]) -> Envelope:
    """Return the frame of a success; raises FeishuError for anything else."""
    try:
        envelope = msgspec.json.decode(reply.body, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_ours(reply, call) from error
    if envelope.code == 0:
        return envelope
    meaning = meaning_of(envelope.code)
    detail = envelope.error or Detail()
    scopes = tuple(each.subject for each in detail.permission_violations if each.subject)
    raise FeishuError(
        meaning.reaction,
        meaning.about,
        call=call,
        code=envelope.code,
        said=masked(envelope.msg, secrets),
        log_id=_log_id(reply) or detail.log_id,
        tries=meaning.tries,
        wait_seconds=reset_seconds(reply.headers),
        scopes=scopes,
    )


def refuse_bytes(reply: Reply, call: str, secrets: Iterable[str]) -> NoReturn:
    """Raise the FeishuError for an answer that should have been a file.

    Documented are mere statuses: 400 the right named in ``extra`` is missing, 403 no right at all,
    404 no such file, 500 try again.
    """
    try:
        opened(reply, call, secrets)
    except FeishuError as error:
        meaning = _FILE_STATUSES.get(reply.status)
        if meaning is None or error.about not in {"unknown", "no_json"}:
            raise
        error.reaction, error.about, error.tries = meaning.reaction, meaning.about, meaning.tries
        raise
    said = recorded("success_with_status", status=reply.status)
    raise FeishuError(Reaction.UNKNOWN, "shape", call=call, said=said)


def no_answer(call: str, why: str) -> FeishuError:
    """Return the error for a call that got no whole answer."""
    return FeishuError(Reaction.TRANSIENT, "no_answer", call=call, said=why, tries=MOST_TRIES)


def _not_ours(reply: Reply, call: str) -> FeishuError:
    """Return the error for an answer that is not Feishu's JSON."""
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        meaning = _HTTP_RATE
    elif (
        reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or reply.status == HTTPStatus.REQUEST_TIMEOUT
    ):
        meaning = _HTTP_BUSY
    else:
        meaning = _HTTP_ODD
    return FeishuError(
        meaning.reaction,
        meaning.about,
        call=call,
        said=f"status {reply.status} without JSON",
        log_id=_log_id(reply),
        tries=meaning.tries,
        wait_seconds=reset_seconds(reply.headers),
    )


def _log_id(reply: Reply) -> str:
    return reply.headers.get("X-Tt-Logid", "")


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return what Feishu said, short, on one line, with none of *secrets* in it."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return " ".join(text.split())[:_SAID_CHARACTERS]
