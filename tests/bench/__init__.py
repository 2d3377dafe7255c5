"""Benchmarks: each figure is a ratio to a peer or a floor measured in the same run.

Run with ``python -m tests.bench [NAME…]``. Read ``benchmark`` (what one is), ``catalogue`` (all
there are), then any of them.
"""
