"""The targets by name, each a module with seeds to begin with and one input to run."""

import importlib
from typing import Protocol, cast

NAMES = ("check_request", "http_request", "cookie_value")


class Target(Protocol):
    """One way in from outside."""

    def seeds(self) -> list[bytes]:
        """Inputs that get far."""

    def run(self, data: bytes) -> None:
        """Raise what must not happen."""


def load(name: str) -> Target:
    """The target; not imported before, so that it can be watched while it is."""
    return cast(Target, importlib.import_module(f"fuzz.{name}"))
