"""One line of `check`: every look of the doctor ends in such lines."""

from typing import Literal, TypeAlias

import msgspec

Level: TypeAlias = Literal["ok", "warn", "fail"]


class CheckLine(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, how it is, what to do."""

    level: Level
    name: str
    message: str
    is_config: bool = False  # a person must change the settings or a template

    def __str__(self) -> str:
        return f"{self.level:<4} {self.name}: {self.message}"
