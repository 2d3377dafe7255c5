"""Sentences of records as earlier versions wrote them, by the entry that says the same today.

A ledger may hold them for years. Whoever changes the English of ``reason.…`` adds what it was.
"""

FORMER: dict[str, tuple[str, ...]] = {
    "reason.bytes_came": ("{count} bytes came instead of {total}",),
    "reason.empty_there": ("{file} is empty on the server",),
    "reason.changed_there": ("{file} changed on the server while it was fetched",),
    "reason.other_type": ("{file} is no {type} file: it begins with {beginning}",),
    "reason.broken": ("{file} is broken: {why}",),
    "reason.other_file_there": ("{path} exists and holds something else",),
    "reason.no_content": ("the pictures (mdat) is missing: it was not written to its end",),
    "reason.long_box": ("its box {box} at byte {at} reaches {count} bytes",),
}
