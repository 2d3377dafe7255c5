"""The outbox: what the ledger knows of a row becomes the cells of its row in the table.

Read ``fields`` (pure: tasks to cells) and ``row_news`` (a row as the ledger knows it), then
``outbox`` (what is due and how it is told) with ``uploading`` (results that lie in cells),
``archived_rows`` (rows that only the archive knows) and ``told_rows`` (what is written down of it),
and ``publisher`` (the service); ``reconcile`` puts a whole table right.
"""
