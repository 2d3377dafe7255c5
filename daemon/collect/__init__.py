"""Fetches and proves outputs: ``collector`` (who and when), ``harvest`` (one task's files).

Below them ``paths`` with ``naming`` (where to), ``download`` with ``part`` and ``digest`` (the
bytes), ``proof`` with ``file_type`` and ``containers`` (are they what they should be), ``backlog``
(who waits).
"""
