"""The command line: thin commands over the ledger's readers, the actions and the daemon's door.

Read ``main`` (which command is where, exit codes), ``invocation`` (options, settings, language),
then a command: those that read (``status``, ``tasks``, ``batch``, ``why``) use ``asking``: the
daemon answers, else ``ledger_files``; ``task`` reads them anyway. Texts are in ``views``
and ``answers``. Those that change (``batch_verbs``, ``task_verbs``, ``server``, ``stuck``) go
through ``acting``: the ``daemon_client`` has it done, or it is done under the lock, as one of the
``plans`` says. ``doctor`` is `check`.
Modules that are slow to import are imported where they are needed: a command must be quick to
start.
"""
