"""Task ids: ``img_`` or ``vid_``, the UTC day, a running number of that day, never used twice."""

import re

_ID = re.compile(r"((?:img|vid)_\d{8})_(\d{6,})")


def counter_of(workflow_type: str, at: str) -> str:
    """Return the name of the counter for a task of this type made at *at*: ``img_20261121``."""
    moving = "视频" in workflow_type or "video" in workflow_type.lower()
    return f"{'vid' if moving else 'img'}_{at[:10].replace('-', '')}"


def task_id(counter: str, number: int) -> str:
    """Return the id that *number* of *counter* stands for."""
    return f"{counter}_{number:06d}"


def number_of(identifier: str) -> tuple[str, int] | None:
    """Return counter and number of an id, None for an id of another form."""
    found = _ID.fullmatch(identifier)
    return (found[1], int(found[2])) if found else None
