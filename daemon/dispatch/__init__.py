"""Brings waiting rows to servers: late, so that a dead server holds up nobody.

Read ``submission`` (the intent, the post, the answer) with ``pictures`` (what goes there before),
``lane`` (one server's slots), ``ready`` (which row is next) with ``place``, ``queues``, ``heads``
and ``fairness``, ``servers`` (who takes work), ``lanes`` (who hears of what), ``holding`` (why rows
wait, for people).
Templates: ``workflow`` with ``templates``, ``values`` and ``nodes``; ``preflight`` with
``declared`` says what a server would refuse, ``row_report`` tells it of all waiting rows.
"""
