"""Reads the bytes of a journal: whole transactions, a torn tail, damage elsewhere.

Nothing with a valid checksum is given up: behind damaged bytes the search goes on, also inside a
line, for a flipped newline makes one line of two.
"""

import re
from collections.abc import Iterator

import msgspec

from ledger.jsondir.journal import Line, decode

_END = re.compile(rb',"crc":"[0-9a-f]{8}"\}')
_START = re.compile(rb'\{"seq":')

#: How far back the beginning of a line is looked for; a record's own text may look like one.
NEAREST_HEADS = 8


class Scan(msgspec.Struct):
    """What a journal's bytes hold."""

    transactions: list[list[Line]]
    whole_lines: list[tuple[int, int]]  # offsets of the lines of these, without newlines
    problems: list[str]
    whole_bytes: int  # up to here the file is a row of whole transactions and damage, no torn tail
    torn_bytes: int  # of a transaction that was being written when the process ended
    damaged_lines: int = 0  # about how many lines were damaged behind the last valid one
    lacks_newline: bool = False  # its last line is whole but for its newline
    last_seq: int = 0  # of all valid lines but the torn tail's

    def reached(self, seq: int) -> None:
        """Note the seq of a valid line; damage before it used none that is higher."""
        self.last_seq, self.damaged_lines = seq, 0


def scan(data: bytes, name: str) -> Scan:
    """Return all whole transactions of *data*; problems name places in the file *name*."""
    result = Scan(transactions=[], whole_lines=[], problems=[], whole_bytes=0, torn_bytes=0)
    open_lines: list[Line] = []
    spans: list[tuple[int, int]] = []
    for found in _pieces(data):
        if isinstance(found, _Bad):
            if found.end == len(data) and not found.looks_complete:
                break
            _give_up(result, open_lines, name, "is followed by damaged bytes")
            result.problems.append(f"{name}: bytes {found.start}-{found.end - 1} are damaged")
            result.damaged_lines += found.lines
            result.whole_bytes = found.end
            continue
        line, end = found.line, found.next
        if open_lines and not _continues(open_lines, line):
            _give_up(result, open_lines, name, "has no last line")
        if not open_lines and line.tx != line.seq:
            result.reached(line.seq)
            lost = f"{name}: transaction {line.tx} has lost its beginning"
            if lost not in result.problems[-1:]:
                result.problems.append(lost)
            result.whole_bytes = end
            continue
        if not open_lines:
            spans.clear()
        open_lines.append(line)
        spans.append((found.start, found.end))
        if line.n is not None:
            result.reached(line.seq)
            if line.n == len(open_lines):
                result.transactions.append(open_lines)
                result.whole_lines.extend(spans)
                open_lines = []
            else:
                _give_up(result, open_lines, name, "has another number of lines than it says")
            result.whole_bytes = end
    result.torn_bytes = len(data) - result.whole_bytes
    whole = result.whole_bytes
    result.lacks_newline = whole > 0 and data[whole - 1 : whole] != b"\n"
    return result


class _Good(msgspec.Struct):
    line: Line
    start: int
    end: int
    next: int  # the newline, if there is one, counts to the line


class _Bad(msgspec.Struct):
    start: int
    end: int
    lines: int  # about how many lines were lost in it
    looks_complete: bool  # it was written whole, and damaged later


def _continues(open_lines: list[Line], line: Line) -> bool:
    return line.tx == open_lines[0].tx and line.seq == open_lines[-1].seq + 1


def _give_up(result: Scan, open_lines: list[Line], name: str, why: str) -> None:
    if open_lines:
        result.problems.append(f"{name}: transaction {open_lines[0].tx} {why}")
        result.reached(open_lines[-1].seq)
        open_lines.clear()


def _pieces(data: bytes) -> Iterator[_Good | _Bad]:
    """Yield each line with its place, and each run of damaged bytes as one."""
    at, bad_from = 0, None
    while at < len(data):
        newline = data.find(b"\n", at)
        end = newline if newline >= 0 else len(data)
        line = decode(data[at:end]) if newline >= 0 else None
        if line is not None:
            if bad_from is not None:
                yield from _salvage(data, bad_from, at)
                bad_from = None
            yield _Good(line, at, end, end + 1)
        elif bad_from is None:
            bad_from = at
        at = end + 1
    if bad_from is not None:
        yield from _salvage(data, bad_from, len(data))


def _salvage(data: bytes, start: int, end: int) -> Iterator[_Good | _Bad]:
    """Yield the valid lines hidden in a damaged stretch, and what is left between them."""
    begin = start
    for seal in _END.finditer(data, start, end):
        heads = [head.start() for head in _START.finditer(data, begin, seal.start())]
        for head in reversed(heads[-NEAREST_HEADS:]):
            if (line := decode(data[head : seal.end()])) is not None:
                if head > begin:
                    yield _bad(data, begin, head)
                begin = seal.end() + (data[seal.end() : seal.end() + 1] == b"\n")
                yield _Good(line, head, seal.end(), begin)
                break
    if begin < end:
        yield _bad(data, begin, end)


def _bad(data: bytes, start: int, end: int) -> _Bad:
    newlines = data.count(b"\n", start, end)  # a line cut short never ends in one
    return _Bad(start, end, max(newlines, len(_END.findall(data, start, end))), newlines > 0)
