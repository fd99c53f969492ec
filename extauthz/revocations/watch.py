"""Telling operators how it stands with the source of revocations: a line when it is lost, and one when it is back."""

from collections.abc import Callable

from extauthz.telemetry import Log

REASON = "revocations"


class NoWatch:
    """Where nobody is to know."""

    def lost(self, error: Exception) -> None:
        """Nothing."""

    def heard(self) -> None:
        """Nothing."""

    def untold(self, error: Exception) -> None:
        """Nothing."""


class LogWatch:
    """Logs the beginning and the end of each outage. `also`: what else there is to be told, each time."""

    def __init__(
        self, log: Log, lost: Callable[[], None] = lambda: None, heard: Callable[[], None] = lambda: None
    ) -> None:
        self._log, self._also_lost, self._also_heard = log, lost, heard
        self._away = False

    def lost(self, error: Exception) -> None:
        """It cannot be followed."""
        if not self._away:
            self._log.trouble("", REASON, error)
        self._away = True
        self._also_lost()

    def heard(self) -> None:
        """It can, and all it has is known."""
        if self._away:
            self._log.note(REASON, detail="heard of again")
        self._away = False
        self._also_heard()

    def untold(self, error: Exception) -> None:
        """A revocation could not be passed on."""
        self._log.trouble("", REASON, error)
