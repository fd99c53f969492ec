"""Authorization requests that clients have pushed, until a browser has come with the reference (RFC 9126)."""

import secrets
from collections.abc import Callable

from demo.idp.config import Clock

PREFIX = "urn:ietf:params:oauth:request_uri:"
PUSHED_SECONDS = 60  # until the browser comes
LOGIN_SECONDS = 600  # for the person, once the login page is shown


class PushedRequests:
    """The requests that may still be granted, by their reference: one answer each."""

    def __init__(self, clock: Clock, note: Callable[[str], str]) -> None:
        self._clock = clock
        self._note = note
        self._requests: dict[str, tuple[dict[str, str], float]] = {}
        self._shown: set[str] = set()

    def keep(self, parameters: dict[str, str]) -> str:
        """Keep a request; the reference to it."""
        uri = PREFIX + self._note(secrets.token_urlsafe(32))
        self._requests[uri] = (parameters, self._clock() + PUSHED_SECONDS)
        return uri

    def find(self, uri: str, client_id: str | None) -> dict[str, str] | None:
        """The parameters of a request of this client that counts now."""
        parameters, expires = self._requests.get(uri, ({}, 0.0))
        usable = self._clock() < expires and parameters.get("client_id") == client_id
        return parameters if usable else None

    def show(self, uri: str) -> None:
        """The login page is up: from now on the person's time counts, but only once."""
        if uri in self._requests and uri not in self._shown:
            self._shown.add(uri)
            self._requests[uri] = (self._requests[uri][0], self._clock() + LOGIN_SECONDS)

    def spend(self, uri: str) -> None:
        """It has its answer."""
        self._requests.pop(uri, None)
