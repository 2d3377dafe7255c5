"""The command line: thin commands over the ledger's readers, the actions and the daemon's door.

Read ``main`` (which command is where, exit codes), ``invocation`` (options, settings, language),
then a command: those that read (``read``, ``why``) use ``asking``, ``story`` of the daemon and the
texts in ``views`` and ``answers``; those that change (``batch``, ``task_verbs``, ``server``,
``stuck``) go through ``acting``, under the lock or by the ``daemon_client``. ``doctor`` is `check`.
Modules that are slow to import are imported where they are needed: a command must be quick to
start.
"""
