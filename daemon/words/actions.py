"""What actions answer, and why they refuse."""

ZH: dict[str, str] = {}

EN: dict[str, str] = {}
