"""The daemon. Read ``app`` first: everything is made there, in the order of the flow.

The steps, each in its package: ``intake``, ``dispatch``, ``follow``, ``collect``; beside them
``upkeep``, below them ``settle`` and ``comfy``, above them ``actions``, ``web`` and ``cli``.
"""
