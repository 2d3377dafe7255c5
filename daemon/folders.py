"""Folders are made inside one that must be there: whoever works in a folder never makes it anew.

A state folder that was moved away while the daemon runs would come to be once more, empty, in the
place where a person is to put it back.
"""

from pathlib import Path


def make_below(root: Path, folder: Path) -> None:
    """Make *folder* and those between *root* and it.

    Raises FileNotFoundError when *root* is not there, ValueError when *folder* is not below it.
    Nothing is synced.
    """
    made = root
    for part in folder.relative_to(root).parts:
        made /= part
        made.mkdir(exist_ok=True)
