"""What JSON can hold, for cells whose shape depends on their column."""

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
else:
    Json = Any  # msgspec cannot decode into a type that names itself
