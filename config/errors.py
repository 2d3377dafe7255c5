"""What can be wrong with the settings: all of it is said at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from config.settings import Settings


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to mend: where it stands, what stands there, and what may stand there."""

    place: str  # "web.port", or the path of a file
    message: str
    value: str | None = None  # as in TOML; secrets as ***

    @property
    def section(self) -> str:
        """The first word of the place: ``servers`` of ``servers[0].url``."""
        return self.place.split(".")[0].split("[")[0]

    def __str__(self) -> str:
        given = "" if self.value is None else f" = {self.value}"
        return f"{self.place}{given}: {self.message}"


class ConfigError(ValueError):
    """The settings cannot be used; ``problems`` holds every reason.

    ``readable`` has defaults for what is wrong, so that files which it names can be looked at too.
    """

    def __init__(self, problems: Sequence[Problem], *, readable: "Settings | None" = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
        self.readable = readable

    def with_more(self, problems: Sequence[Problem]) -> "ConfigError":
        """Return the error with those of *problems* whose places it does not name yet."""
        told = {problem.place for problem in self.problems}
        return ConfigError([*self.problems, *(p for p in problems if p.place not in told)])
