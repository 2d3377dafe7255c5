"""What openpyxl reads in a cell → JSON; for job files and for tables."""

import datetime as dt

from ledger.task import Json

#: What a workbook, which is a zip, may grow to when unpacked.
MAX_UNPACKED_BYTES = 512 * 1024 * 1024


def as_json(cell: object) -> Json:
    """Return the cell's value: whole numbers without a fraction, moments as ISO text."""
    match cell:
        case None | bool() | int() | str():
            return cell
        case float():
            return int(cell) if cell.is_integer() else cell
        case dt.datetime():
            midnight = cell.time() == dt.time()
            return cell.date().isoformat() if midnight else cell.isoformat(sep=" ")
        case dt.date() | dt.time():
            return cell.isoformat()
        case _:
            return str(cell)
