"""What keeps the daemon's promises over time.

At a start: ``recovery``. While it runs: ``batches``, ``completion``, ``ledger_watch``; ``liveness``
tells the service manager, ``alerts`` with ``alarms`` a person. Stuck tasks: ``diagnosis`` (how one
can stand), ``inspection`` (how each stands), ``status_check`` (told), ``remedy`` (what follows),
``treatment`` and ``stuck`` (done). On times of ``schedule``: ``sweeps``, with ``retention``,
``backup`` and ``steady_time``. For answers: ``eta``, ``gpu_time``.
"""
