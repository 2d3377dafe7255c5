"""Tables that work comes from and results go back to: one contract, four kinds.

Read ``table`` (the contract) with ``cells`` (what passes through it) and ``errors`` first, then
``columns`` (headings) and ``status`` (the words in 状态 and 命令); a kind is a module each.
"""
