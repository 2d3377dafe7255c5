"""The ledger in a folder of JSON files.

Read in this order: ``files`` (every step on the disk), ``journal`` and ``scan`` (a line written, a
file read back), ``snapshot`` with ``snapshot_file``, ``places`` (where a finished task lies) and
``composition`` (a new snapshot out of the old one), ``opening`` and ``loading`` (files to state),
``writer`` (the thread that owns the journal) with ``compactor`` (snapshots and archive behind it),
``store``; then ``reader``, ``archive``, ``check``, ``repair``, ``export``. A backup and its way
back: ``backup``, ``mark`` (how far ids were given), ``leaping``, ``restore``, ``replacing``.
"""
