"""From the rows of a drop to those that are good in themselves; whether they are new is open."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from daemon.intake.columns import WorkflowNeeds
from daemon.intake.errors import BadPicture
from daemon.intake.fingerprint import fingerprint, likeness
from daemon.intake.grid import RawRow
from daemon.intake.reasons import Reason, because, cut, shown
from daemon.intake.records import AcceptedRow
from daemon.intake.rows import RefusedRow, WantedRow, plan_row
from ledger.task import InputFile, Json


class Drop(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that came together, and where their pictures lie."""

    name: str  # as its maker called it; it becomes the batch's name
    job: str = ""  # the name of the file with the rows, if that is another one
    kind: str = "inbox"  # where it came from: inbox, api, table
    rows: tuple[RawRow, ...]
    pictures_in: Path  # relative paths start here, and none may lead out of it
    options: dict[str, Json] = msgspec.field(default_factory=dict)

    @property
    def stem(self) -> str:
        """The name without the ending of a file."""
        stem, dot, ending = self.name.rpartition(".")
        return stem if dot and ending.lower() in ("csv", "xlsx", "json", "jsonl") else self.name

    @property
    def rerun(self) -> bool:
        """Whether rows that ran before run again."""
        named = any(".rerun." in name.lower() for name in (self.name, self.job))
        return named or self.options.get("rerun") is True


class PlannedDrop(msgspec.Struct, frozen=True):
    """What the rows of a drop want, their pictures unseen; emptied as ``Candidates``."""

    drop: Drop  # its rows are in the lists instead
    wanted: list[WantedRow]
    refused: list[RefusedRow]

    def pictures(self) -> dict[str, None]:
        """Return the pictures that rows name, each once, as they name them."""
        return {named: None for row in self.wanted for named in row.pictures.values()}


class Candidates(msgspec.Struct, frozen=True):
    """The rows of a drop that can run, with their pictures kept, and those that cannot.

    Whoever recorded them empties the lists bit by bit; nobody needs them then.
    """

    drop: Drop
    good: list[AcceptedRow]
    rejected: list[RefusedRow]


def plan_rows(drop: Drop, needs: Mapping[str, WorkflowNeeds]) -> PlannedDrop:
    """Return what each row of *drop* wants; pure, and slow for very many rows."""
    planned = [plan_row(row, needs) for row in drop.rows]
    return PlannedDrop(
        msgspec.structs.replace(drop, rows=()),
        wanted=[row for row in planned if isinstance(row, WantedRow)],
        refused=[row for row in planned if isinstance(row, RefusedRow)],
    )


def candidates_of(planned: PlannedDrop, kept: Mapping[str, InputFile | BadPicture]) -> Candidates:
    """Part the rows whose pictures are all good, with their fingerprints, from the others."""
    good: list[AcceptedRow] = []
    bad: list[RefusedRow] = []
    seen: dict[str, int] = {}
    for row in planned.wanted:
        inputs, problems = _inputs_of(row, kept)
        if problems:
            bad.append(refused(row, *problems))
            continue
        alike = likeness(row, inputs)
        seen[alike] = occurrence = seen.get(alike, 0) + 1
        mark = fingerprint(alike, occurrence)
        good.append(AcceptedRow(wanted=row, inputs=inputs, fingerprint=mark))
    return Candidates(planned.drop, good, sorted(planned.refused + bad, key=lambda row: row.line))


def refused(row: WantedRow, *reasons: Reason) -> RefusedRow:
    """Return the refusal of a row that was planned."""
    return RefusedRow(line=row.line, values=dict(row.values), reasons=reasons)


def _inputs_of(
    row: WantedRow, kept: Mapping[str, InputFile | BadPicture]
) -> tuple[dict[str, InputFile], list[Reason]]:
    inputs: dict[str, InputFile] = {}
    problems: list[Reason] = []
    for column, named in row.pictures.items():
        match kept[named]:
            case InputFile() as file:
                inputs[column] = file
            case BadPicture() as error:
                about, name = shown(column), cut(named, 120)
                problems.append(because("bad_picture", why=error.reason, column=about, name=name))
    return inputs, problems
