"""Tables that work comes from and results go back to: one contract, four kinds.

Read ``table`` (the contract) with ``cells`` (what passes through it) and ``errors`` first, then
``columns`` (headings) and ``status`` (the words in 状态 and 命令). The kinds: ``file_table`` with
``grid`` (``csv``, ``xlsx``), ``feishu_sheet`` and ``feishu_bitable``, these two over modules of one
duty, ``feishu_…``. ``opening`` makes them from the settings, ``handle`` is what poller and
publisher share, ``standing`` how a table stands, ``ongoing`` which uploads are under way,
``answers`` what rows are told of commands.
"""
