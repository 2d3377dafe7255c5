"""What happened to a task, in plain sentences made from its lines in the journal.

Read ``documents`` (what comes out), ``telling`` (line by line), then ``happenings`` (two versions →
a sentence).
"""
