"""The record of every row, crash-safe and readable with ``jq``.

Read in this order: ``status`` (the life of a task), ``task`` and ``batch`` (the records),
``entry`` (one line of the journal), ``backend`` (what a store must keep), ``ledger`` (the index,
transactions and the change feed); then ``jsondir/`` (files, journal, snapshot, store, archive).
"""
