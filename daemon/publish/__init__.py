"""The outbox: what the ledger knows of a row becomes the cells of its row in the table."""
