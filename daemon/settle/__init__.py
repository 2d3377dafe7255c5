"""What became of a prompt: evidence from ledger, queue, history and folder, and what follows.

Below dispatch, follow, collect and recovery, which all settle tasks the same way. Read
``verdict`` (pure: evidence → verdict), ``failure`` (pure: failure → waiting again or failed, by
the table in ``daemon.retrying``), ``gpu_memory`` (pure: where one that ran out of it may run
next), ``adoption`` with ``results`` (asks the output folder), then ``settlement`` (asks the
server, writes the ledger). Of rows: ``dependency`` (what stage two waits for), ``streaks``
(failures in a row). Of servers: ``server_memory`` (what the ledger remembers of one).
"""
