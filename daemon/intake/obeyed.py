"""The notes of commands that were carried out and may still stand in their cell."""

from ledger.entry import Meta

#: The meta section of the notes.
SECTION = "commands"


def note_key(table: str, row_key: str) -> str:
    """Return the key of the note of a row; of all rows of *table* the beginning, with "" for it."""
    return f"{table}:{row_key}"


def note_of(table: str, row_key: str, word: str, told: str | None = None) -> Meta:
    """Return the note that *word* was obeyed, with what the row's maker is told of it."""
    answer = {} if told is None else {"told": told}
    return Meta(section=SECTION, key=note_key(table, row_key), value={"word": word, **answer})
