"""What can go wrong when work is taken in.

IntakeError
├── Unreadable   no row of the job file can be read: the file goes to rejected/ with the reason
├── BadPicture   a named picture cannot be used: the rows that name it are rejected
├── Vanished     the drop is gone, or changed while it was read: look again later
└── Postponed    our own disk cannot take it now: nothing was recorded, the drop stays where it is
"""


class IntakeError(Exception):
    """Root of all errors of the intake; the message is for the person who made the drop."""


class Unreadable(IntakeError):
    """Nothing of a job file can be taken; says why and what to do."""


class BadPicture(IntakeError):
    """A picture cannot be used; says why."""


class Vanished(IntakeError):
    """The file went away or changed under the reader; no fault of anybody."""


class Postponed(IntakeError):
    """Our side cannot store it now (disk full, not writable); to be tried again later."""
