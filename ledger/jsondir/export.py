"""``ledger export``: the whole state as text for other programs; reads only, takes no lock."""

from collections.abc import Iterator
from pathlib import Path

from ledger.jsondir import snapshot
from ledger.jsondir.composition import Composition
from ledger.jsondir.reader import read_state


def as_document(path: Path, at: str) -> Iterator[bytes]:
    """Yield the state as a ledger.json of this moment, in pieces."""
    state = read_state(path)
    return Composition(snapshot.Changes.of(state), state.last_seq, at).anew()
