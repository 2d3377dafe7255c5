"""What diagnosis and sweeps say."""

ZH: dict[str, str] = {}

EN: dict[str, str] = {}
