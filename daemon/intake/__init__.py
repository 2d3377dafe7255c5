"""From files in the inbox to waiting tasks.

Read in this order: ``accept`` with ``deciding`` (the one way in: rows become tasks), ``rows`` and
``records`` (what a row wants, and what the ledger holds of it), ``jobfile`` with ``grid``,
``workbook`` and ``merged_cells`` (bytes to rows), ``contents`` with ``picture_store``,
``safeopen`` and ``picture`` (copies of input pictures); then the folder: ``drops``,
``completeness`` with ``settling`` and ``lease`` (what can be taken), ``taking`` with ``jobs``,
``filing`` (what becomes of it) with ``filing_clerk``, ``putting_away``, ``reports`` and ``moving``
(which do it), ``inbox`` (the service); ``direct`` (a command does the same without a daemon).
Tables: ``table`` (the poller), ``table_rows`` with ``row_cells`` (what a row wants),
``row_check``, ``claims`` (a row is taken once), ``command_column`` (wishes in 命令).
"""
