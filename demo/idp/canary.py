"""Every secret the provider has issued or been shown: a test looks for them where they must not be."""

# Shorter values that a caller made up would be found everywhere.
SHORTEST_SEEN = 16


class Canary:
    """A growing list of secrets; nobody but the control endpoint reads it."""

    def __init__(self) -> None:
        self._values: dict[str, None] = {}

    def issued(self, value: str) -> str:
        """Note a secret of ours and hand it on."""
        self._values[value] = None
        return value

    def seen(self, value: str | None) -> None:
        """Note a secret somebody presented."""
        if value and len(value) >= SHORTEST_SEEN:
            self._values[value] = None

    def values(self) -> list[str]:
        """All of them, oldest first."""
        return list(self._values)
