"""Fetches and proves outputs: ``naming`` (pure), ``download``, ``proof``, then ``collector``."""
