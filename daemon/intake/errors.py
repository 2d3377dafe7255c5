"""What can go wrong when work is taken in.

IntakeError
├── Unusable         whoever brought it must act; ``reason`` is the sentence for them
│   ├── Unreadable   no row of the job file can be read: the file goes to rejected/ with the reason
│   └── BadPicture   a named picture cannot be used: the rows that name it are rejected
├── Vanished     the drop is gone, or changed while it was read: look again later
└── Postponed    our own disk cannot take it now: nothing was recorded, the drop stays where it is
"""

from typing import Self

from daemon.intake.reasons import Filling, Reason
from daemon.words import Words


class IntakeError(Exception):
    """Root of all errors of the intake."""


class Unusable(IntakeError):
    """What was brought cannot be taken; the message is the reason in English."""

    def __init__(self, code: str, **values: Filling) -> None:
        self.reason = Reason(code, values)
        super().__init__(self.reason.text(Words("en")))

    @classmethod
    def because(cls, reason: Reason) -> Self:
        """Return the error for a reason that is known."""
        return cls(reason.code, **reason.values)


class Unreadable(Unusable):
    """Nothing of a job file can be taken; says why and what to do."""


class BadPicture(Unusable):
    """A picture cannot be used; says why."""


class Vanished(IntakeError):
    """The file went away or changed under the reader; no fault of anybody."""


class Postponed(IntakeError):
    """Our side cannot store it now (disk full, not writable); to be tried again later."""
