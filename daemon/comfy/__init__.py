"""ComfyUI, the first kind of workflow server, behind the contract in ``server``.

Read ``server`` (what the steps know), ``client`` (ComfyUI behind it), ``connection`` (the wire),
then the readers of its answers: ``lookup``, ``history``, ``refusals``, ``progress``, ``files``.
``simulator`` is a ComfyUI-compatible server for demo and tests.
"""
