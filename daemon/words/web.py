"""What the HTTP door answers, and why it refuses."""

ZH: dict[str, str] = {}

EN: dict[str, str] = {}
