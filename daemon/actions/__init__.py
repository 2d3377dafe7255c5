"""What operators can do to batches, tasks and servers, for API, command line and tables alike.

Every action is first *planned*, pure, from a view of the records: what to write and what to
answer, or an ``ActionError`` that says why not. Whoever holds the ledger then commits the plan: the
daemon through ``Ledger.commit``, a command without a daemon through its own lock.

Read ``plan`` first, then ``batches`` with ``rerunning``, ``tasks`` with ``retry_records``,
``row_commands`` (what stands in a table's 命令) with ``priority``,
``servers``; ``performing`` carries a plan out in the daemon.
"""
