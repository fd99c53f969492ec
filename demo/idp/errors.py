"""The provider's own errors.

OAuthError    answered as JSON (RFC 6749 section 5.2)
PageError     shown to the person, never redirected (RFC 6749 section 4.1.2.1)
RefusalError  sent back to the client by redirect
"""

from dataclasses import dataclass


@dataclass(eq=False)
class OAuthError(Exception):
    """A request from a client that cannot be granted."""

    error: str
    description: str
    status: int = 400


@dataclass(eq=False)
class PageError(Exception):
    """A request whose sender cannot be trusted with a redirect."""

    message: str


@dataclass(eq=False)
class RefusalError(Exception):
    """An authorization request from a known client that cannot be granted.

    `signed_for`: the client, if it wants the answer signed.
    """

    redirect_uri: str
    state: str | None
    error: str
    description: str
    signed_for: str | None = None
