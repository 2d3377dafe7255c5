"""What can go wrong with an action: ``ActionError``, and what the ledger raises."""

from ledger.task import Json


class ActionError(Exception):
    """An action that cannot be done now; nothing was changed.

    ``code`` is a key of the word catalogue (message and hint in both languages), ``values`` fill
    its placeholders, ``status`` is the HTTP status: 400, 404 or 409.
    """

    def __init__(self, code: str, status: int, **values: Json) -> None:
        super().__init__(f"{code}: {values}")
        self.code = code
        self.status = status
        self.values = values
