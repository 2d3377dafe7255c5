"""A client of the running daemon: its HTTP door stands where ``<state_dir>/web.json`` says."""

import http.client
from collections.abc import Mapping
from typing import Literal, TypeAlias, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from config.settings import Settings
from daemon.cli.refusal import BAD_REQUEST, Refusal, refusal, worded
from daemon.web.address import ACTOR_HEADER, Address, address_in
from daemon.words import Words
from daemon.words.retelling import SYSTEM, in_each_language, of_system
from ledger.task import Json

#: A verb is one commit in the daemon.
ANSWER_SECONDS = 30.0
#: Whoever asks the servers waits for the slowest of them.
SLOW_ANSWER_SECONDS = 120.0

Answer: TypeAlias = dict[str, Json]
T = TypeVar("T")


class _Wrong(msgspec.Struct, frozen=True):
    code: str
    message: str
    hint: str = ""


class _WrongAnswer(msgspec.Struct, frozen=True):
    error: _Wrong


class DaemonClient:
    """Asks the daemon; what it refuses is raised as Refusal, in its words."""

    def __init__(self, address: Address, token: str, actor: str, words: Words) -> None:
        self._address = address
        self._words = words
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept-Language": words.language,
            "Content-Type": "application/json",
            ACTOR_HEADER: actor,
        }

    def get(self, path: str, kind: type[T], *, wait_seconds: float = ANSWER_SECONDS) -> T:
        """Return the answer to a question as a *kind*; raises Refusal."""
        return self._ask("GET", path, b"", kind, wait_seconds)

    def post(
        self,
        path: str,
        body: Mapping[str, Json],
        kind: type[T],
        *,
        wait_seconds: float = ANSWER_SECONDS,
    ) -> T:
        """Have something done and return the answer as a *kind*; raises Refusal."""
        return self._ask("POST", path, msgspec.json.encode(body), kind, wait_seconds)

    def _ask(
        self,
        method: Literal["GET", "POST"],
        path: str,
        content: bytes,
        kind: type[T],
        wait_seconds: float,
    ) -> T:
        where = urlsplit(self._address.url)
        door = http.client.HTTPConnection(where.hostname or "", where.port, timeout=wait_seconds)
        try:
            door.request(method, path, content, self._headers)
            answer = door.getresponse()
            return self._understood(answer.status, answer.read(), kind)
        except ConnectionRefusedError:
            raise self._refusal("door_closed", {"pid": self._address.pid}) from None
        except (OSError, http.client.HTTPException) as error:
            reason = in_each_language(str(error) or type(error).__name__, SYSTEM)
            raise self._refusal("door_silent", {"reason": reason}) from None
        finally:
            door.close()

    def _understood(self, status: int, content: bytes, kind: type[T]) -> T:
        try:
            if status < BAD_REQUEST:
                return msgspec.json.decode(content, type=kind)
            wrong = msgspec.json.decode(content, type=_WrongAnswer).error
        except msgspec.MsgspecError:
            raise self._refusal("door_silent", {"reason": f"HTTP {status}"}) from None
        raise refusal(wrong.code, wrong.message, wrong.hint, status=status)

    def _refusal(self, code: str, values: Mapping[str, object]) -> Refusal:
        return worded(code, self._words, values)


def client_of(settings: Settings, holder_pid: int, actor: str, words: Words) -> DaemonClient | None:
    """Return a client of the daemon that holds the ledger, None while it listens nowhere.

    *holder_pid* is the lock's holder: what an earlier process left in ``web.json`` is not
    believed, and no stranger at its port is shown the token. Raises Refusal for a token that
    cannot be read.
    """
    address = address_in(settings.state_dir)
    if address is None or address.pid != holder_pid:
        return None
    path = settings.web.admin_token_file
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        said = of_system(error) if isinstance(error, OSError) else str(error)
        values = {"path": str(path), "reason": in_each_language(said, SYSTEM)}
        raise worded("door_token", words, values) from None
    return DaemonClient(address, token, actor, words)


def with_query(path: str, **values: Json) -> str:
    """Return *path* with those of *values* that are not None as its query."""
    query = {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in values.items()
        if value is not None
    }
    return f"{path}?{urlencode(query)}" if query else path
