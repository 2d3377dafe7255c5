"""What can be wrong with the settings: all of it is said at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import msgspec

from config.faults import Fault, Filling, told

if TYPE_CHECKING:
    from config.settings import Settings


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to mend: where it stands, what stands there, and what may stand there."""

    place: str  # "web.port", or the path of a file
    faults: tuple[Fault, ...]
    value: str | None = None  # as in TOML; secrets as ***
    given_by: str | None = None  # the variable of the environment, where it was one

    @classmethod
    def of(cls, place: str, code: str, *, value: str | None = None, **values: Filling) -> Self:
        """Return the problem that is told by one sentence."""
        return cls(place=place, value=value, faults=(Fault(code, values),))

    @property
    def section(self) -> str:
        """The first word of the place: ``servers`` of ``servers[0].url``."""
        return self.place.split(".")[0].split("[")[0]

    def text(self, language: str) -> str:
        """Return all of it on one line, in "zh" or "en"."""
        given = "" if self.value is None else f" = {self.value}"
        said = told(self.faults, language, given_by=self.given_by)
        return f"{self.place}{given}{'：' if language == 'zh' else ': '}{said}"

    def __str__(self) -> str:
        return self.text("en")


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
        places = {problem.place for problem in self.problems}
        more = (each for each in problems if each.place not in places)
        return ConfigError([*self.problems, *more], readable=self.readable)
