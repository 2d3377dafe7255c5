"""Watches prompts inside servers: polling is the truth (``follower``), push is news (``news``)."""
