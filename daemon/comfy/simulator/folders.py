"""The folders of one simulated server on disk, and who may reach what in them."""

import os
from pathlib import Path, PurePosixPath

KINDS = ("input", "output", "temp")


def make_folders(base: Path) -> None:
    """Create ``input``, ``output`` and ``temp`` under *base*; what is there stays."""
    for kind in KINDS:
        (base / kind).mkdir(parents=True, exist_ok=True)


def split_annotation(name: str, default: str) -> tuple[str, str]:
    """Return name and folder kind of ``picture.png [output]``, else the name and *default*."""
    for kind in KINDS:
        if name.endswith(f"[{kind}]"):
            return name[: -len(kind) - 2].rstrip(), kind
    return name, default


def input_path(base: Path, name: str) -> Path:
    """Return where LoadImage looks for *name*; raises ValueError outside the folder."""
    plain, kind = split_annotation(name, "input")
    root = base / kind
    path = inside(root, plain)
    if path is None:
        raise ValueError(f"{name} lies outside the {kind} folder")
    return path


def inside(root: Path, *parts: str) -> Path | None:
    """Return the path *parts* lead to, or None when it lies outside *root*; looks at no disk."""
    path = Path(os.path.normpath(root.joinpath(*parts)))
    return path if path.is_relative_to(root) else None


def input_files(base: Path) -> list[str]:
    """Return the pictures at the top of the input folder, sorted."""
    endings = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
    with os.scandir(base / "input") as entries:
        return sorted(e.name for e in entries if e.is_file() and e.name.lower().endswith(endings))


def next_free_name(output: Path, prefix: str) -> tuple[Path, str, int]:
    """Return folder, base name and next free counter for *prefix* such as ``rows/0067/img``.

    The folder is made. The counter is one more than the highest of ``<base>_<counter>_…`` there.
    Raises ValueError when the prefix leads out of the output folder.
    """
    whole = PurePosixPath(os.path.normpath(prefix))
    folder, base = inside(output, str(whole.parent)), whole.name
    if folder is None:
        raise ValueError("**** ERROR: Saving image outside the output folder is not allowed.")
    folder.mkdir(parents=True, exist_ok=True)
    taken = [0]
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(f"{base}_"):
                digits = entry.name[len(base) + 1 :].split("_")[0]
                taken.append(int(digits) if digits.isdigit() else 0)
    return folder, base, max(taken) + 1
