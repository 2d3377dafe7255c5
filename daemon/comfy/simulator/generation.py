"""The two recorded generations of ComfyUI (0.3.64 and 0.33.0), and what differs between them."""

import msgspec


class Generation(msgspec.Struct, frozen=True):
    """A version of ComfyUI and what it can do: what the nearest older recorded one does."""

    version: str

    def __post_init__(self) -> None:
        """Raise ValueError for a version that is not numbers and dots."""
        if not all(part.isdigit() for part in self.version.split(".")):
            raise ValueError(f"a version of ComfyUI looks like 0.33.0, not {self.version!r}")

    @property
    def modern(self) -> bool:
        """Whether it behaves like 0.33: jobs API, strict prompt ids, a cache kept over prompts."""
        return self._numbers >= (0, 4)

    @property
    def _numbers(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))
