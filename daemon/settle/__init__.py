"""What became of a prompt: evidence from ledger, queue, history and folder, and what follows.

Below dispatch, follow, collect and recovery, which all settle tasks the same way. Read
``verdict`` (pure: evidence → verdict), ``failure`` (pure: failure → waiting again or failed),
``adoption`` (asks the output folder), then ``settlement`` (asks the server, writes the ledger).
"""
