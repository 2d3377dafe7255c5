"""The record of every row, crash-safe and readable with ``jq``.

Read in this order: ``status`` (the life of a task), ``task`` and ``batch`` (the records), ``entry``
(one change), ``state`` with ``shelf`` (what is held), ``index`` with ``rolls``, ``open_tasks``,
``families`` and ``statistics`` (what can be asked), ``pending`` (what is checked before a write),
``backend`` (what a store must keep), ``applying`` with ``slices`` (what is durable becomes visible)
and ``listeners`` (who is told), ``ledger`` (transactions and the change feed), ``direct`` (the same
for one command without a daemon); then ``jsondir/`` (files, journal, snapshot, store, archive).
"""
