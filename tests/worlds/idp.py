"""What tests ask of the mock identity provider's control: counters, misbehaviour, secrets."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2


class IdpControl:
    """The control of a running identity provider; `base` is asked each time, for a restart may move it."""

    def __init__(self, base: Callable[[], str]) -> None:
        self._base = base

    def count(self, call: str) -> int:
        """How often `call` was made since the last reset."""
        return int(httpx2.get(f"{self._base()}/counters").raise_for_status().json()[call])

    def misbehave(self, **mode: Any) -> None:
        """Answer differently from now on; demo/idp/mode.py lists how."""
        self._post("mode", mode)

    def reset(self) -> None:
        """Behave, and count from zero."""
        self._post("reset", {})

    def expire_access_tokens(self) -> None:
        """All access tokens issued so far are inactive from now on."""
        self._post("expire", {"access_token": "all"})

    def expire_refresh_tokens(self) -> None:
        """All refresh tokens issued so far are spent from now on."""
        self._post("expire", {"refresh_token": "all"})

    @contextmanager
    def holding_tokens(self) -> Iterator[None]:
        """Answer no token request until the end of this context."""
        self.misbehave(token_held=True)
        try:
            yield
        finally:
            self.misbehave(token_held=False)

    def rotate_keys(self) -> None:
        """Sign with a new key from now on."""
        self._post("rotate-keys", {})

    def logout_token(self, client_id: str, **claims: object) -> str:
        """A logout token for the test to send, with `claims` over the usual ones."""
        wish = {"client_id": client_id, "claims": claims}
        answer = httpx2.post(f"{self._base()}/logout-token", json=wish).raise_for_status()
        return str(answer.json()["logout_token"])

    def secrets(self) -> list[str]:
        """Every token, code, JWT and secret it has issued or seen."""
        values: list[str] = httpx2.get(f"{self._base()}/secrets").raise_for_status().json()["values"]
        return values

    def _post(self, path: str, body: dict[str, Any]) -> None:
        httpx2.post(f"{self._base()}/{path}", json=body).raise_for_status()


def behaving(base: Callable[[], str]) -> Iterator[IdpControl]:
    """The control, for a fixture to yield from: it counts from zero, and behaves again after the test."""
    control = IdpControl(base)
    control.reset()
    yield control
    control.reset()
