"""How much memory this process has, and how many objects its garbage collector walks over."""

import ctypes
import gc
import os
from pathlib import Path


def resident_bytes() -> int:
    """Return what the system holds in memory for us, free memory given back first."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def collected_objects() -> int:
    """Return how many objects a full collection walks over."""
    gc.collect()
    return len(gc.get_objects())
