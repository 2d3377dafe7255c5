"""What keeps the daemon's promises over time.

At a start: ``recovery``. While it runs: ``batches``, ``completion``, ``ledger_watch``.
Stuck tasks: ``findings`` (how one can stand), ``inspection`` (how each stands), ``diagnosis``
(told), ``remedy`` (what follows), ``stuck`` (done). On times of ``schedule``: ``sweeps``, with
``retention`` and ``backup``. For answers: ``eta``.
"""
