"""The settings: read once, checked whole, frozen, handed down section by section.

Read ``settings`` (every key, default and limit), ``load`` (file, environment, defaults → settings
or all problems at once), ``sections`` with ``values`` (the walk), ``checks``, ``show``.
"""
