"""The columns of a table: what they are called, and which of them a table has; pure."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from daemon.tables.errors import Misconfigured
from daemon.words.headings import HEADINGS, INPUT_HEADINGS, SHOWN

#: A table without 状态 may tell it by stage, as tables of an older tool do.
STATUS_KEYS = ("status", "image_done", "video_done")
#: What ``create_columns`` adds where it is missing.
CREATED_KEYS = (
    "status",
    "task_id",
    "error",
    "started_at",
    "finished_at",
    "output_image",
    "output_video",
    "retry_count",
    "command",
)
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060"))


def plain_heading(heading: str) -> str:
    """Return what headings are compared by: ``" Task ID"`` and ``"task_id"`` are the same."""
    visible = unicodedata.normalize("NFKC", heading).translate(_INVISIBLE)
    return "_".join(visible.casefold().split())


class Naming(msgspec.Struct, frozen=True):
    """What headings mean in one table."""

    keys: Mapping[str, str]  # plain heading → key
    own: Mapping[str, str]  # key → the heading that the settings give it
    language: str = "zh"  # of the headings that are created

    @classmethod
    def of(cls, columns: Mapping[str, str], language: str = "auto") -> "Naming":
        """Return the naming with what the settings call some columns (key → heading).

        A column that the settings name has no other heading. *language*: that of the settings;
        in English a column is shown and created by its key.
        """
        keys = {
            plain_heading(alias): key
            for key, aliases in HEADINGS.items()
            if key not in columns
            for alias in (key, *aliases)
        }
        keys |= {plain_heading(heading): key for key, heading in columns.items()}
        return cls(keys=keys, own=dict(columns), language="en" if language == "en" else "zh")

    def key_of(self, heading: str) -> str:
        """Return the key of a heading; one without a meaning is its own key, without blanks."""
        return self.keys.get(plain_heading(heading)) or heading.strip()

    def heading_of(self, key: str) -> str:
        """Return what a column of this key is called when it is shown or created."""
        return self.own.get(key) or SHOWN[self.language].get(key, key)

    def headings(self, columns: "Columns | None" = None) -> dict[str, str]:
        """Return, by key, what known columns are called here: by settings, and as *columns* are."""
        there = columns.headings if columns is not None else {}
        return {**self.own, **{key: name for key, name in there.items() if key in HEADINGS}}


class Columns(msgspec.Struct, frozen=True):
    """The columns that a table has."""

    found: Mapping[str, int]  # key → place in the line of headings, from 0
    headings: Mapping[str, str]  # key → as the table has it

    def __contains__(self, key: str) -> bool:
        return key in self.found


def columns_of(headings: Sequence[str], naming: Naming) -> Columns:
    """Return the columns under *headings*, blank ones left out.

    Raises Misconfigured when two of them mean the same known column. Of several equal headings
    without a meaning the first counts.
    """
    found: dict[str, int] = {}
    named: dict[str, str] = {}
    for place, heading in enumerate(headings):
        key = naming.key_of(heading)
        if not key:
            continue
        if key in found:
            if key in HEADINGS or key in naming.own:
                both = (f"“{named[key]}”", f"“{heading.strip()}”")
                raise Misconfigured("doubled", headings=both, column=naming.heading_of(key))
            continue
        found[key] = place
        named[key] = heading.strip()
    return Columns(found=found, headings=named)


def missing_keys(columns: Columns) -> list[str]:
    """Return the keys without which the table cannot be worked with: 任务ID, and some status."""
    missing = [] if any(key in columns for key in STATUS_KEYS) else ["status"]
    return missing if "task_id" in columns else [*missing, "task_id"]


def insist_on_columns(columns: Columns, naming: Naming) -> None:
    """Raise Misconfigured when a needed column is missing, or none that a person fills is there."""
    if missing := missing_keys(columns):
        raise Misconfigured("missing", columns=_listed(missing, naming))
    if not any(key in columns for key in INPUT_HEADINGS):
        raise Misconfigured("no_input", columns=_listed(INPUT_HEADINGS, naming))


def _listed(keys: Iterable[str], naming: Naming) -> tuple[str, ...]:
    return tuple(naming.heading_of(key) for key in keys)
