"""The daemon. Read ``app`` first: everything is made there, in the order of the flow.

What the steps share is made by ``ground``; ``table_work`` and ``dispatch_work`` put two of them
together.

The steps, each in its package: ``intake``, ``dispatch``, ``follow``, ``collect``, ``publish``;
beside them ``upkeep``. Below them ``settle`` and ``tables``, and below these the servers that we
ask: ``comfy``, ``feishu``. Above them ``actions`` with ``story``, then ``web`` and ``cli``. On the
ground floor, for all: ``running``, ``clock``, ``logs``, ``metrics``, ``retrying``, ``words``.
"""
