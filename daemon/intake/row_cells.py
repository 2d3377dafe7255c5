"""What the cells of a table's row say to who takes it; pure."""

from daemon.intake.columns import tidy
from daemon.intake.reasons import cut
from daemon.intake.rows import DEFAULT_WORKFLOW_TYPE
from daemon.tables.cells import Row
from daemon.tables.columns import STATUS_KEYS, Columns
from daemon.tables.errors import Phrase, Trouble
from daemon.tables.status import status_words
from daemon.words import LANGUAGES
from daemon.words.headings import INPUT_HEADINGS, OUR_HEADINGS
from ledger.task import Json
from ledger.taskids import makes_videos


def inputs_of(row: Row) -> dict[str, Json]:
    """Return the cells that people fill, by key; of cells with files the tokens."""
    values: dict[str, Json] = {
        key: tidy(value) for key, value in row.cells.items() if key not in OUR_HEADINGS
    }
    values |= {key: [file.token for file in files] for key, files in row.files.items()}
    return values


def status_text(row: Row, columns: Columns, workflow_type: str) -> str:
    """Return the word in the row's status; without 状态 that of its first stage's column.

    *workflow_type*: of rows that say none.
    """
    first = (row.text("workflow_type") or workflow_type or DEFAULT_WORKFLOW_TYPE).partition("+")[0]
    own = "video_done" if makes_videos(first) else "image_done"
    key = next((key for key in ("status", own, *STATUS_KEYS) if key in columns), "status")
    return row.text(key)


def unknown_status(word: str) -> Trouble:
    """Return the report of a status that is not in the list."""
    known: Phrase = {language: status_words(language) for language in LANGUAGES}
    return Trouble(code="unknown_status", values={"status": cut(word)}, phrases={"known": known})


def is_filled(row: Row) -> bool:
    """Say whether a person has begun to fill the row; a number alone is a template."""
    given = {*row.cells, *row.files, *row.problems} & set(INPUT_HEADINGS)
    return bool(given - {"row_number", "workflow_type", "priority"})
