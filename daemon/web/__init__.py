"""The HTTP door: what contract §6 promises, on aiohttp.

Read ``routes`` first: every path stands there with what it takes and what it answers. A request
goes through ``entrance`` (host, path, errors), ``endpoint`` (token, limits, decoding) and one thin
handler (``batches``, ``tasks``, ``jobs``, ``servers``, ``diagnosis``, ``files``, ``events``,
``probes``), which plans an action, has it carried out (``performing``) and answers:
``documents`` and the like.
"""
