"""What every version of the agent's API consists of: its endpoints, what guards them, and how its errors look.

Knows nothing of OAuth. app.py serves what is written here; v1.py and v2.py fill it in.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.requests import Request

from agent.errors import AgentError

Members = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call: the request, and the Set-Cookie lines its answer carries, be it a success or an error."""

    request: Request
    set_cookies: list[str] = field(default_factory=list, repr=False)


# The members of a JSON object, or None for an answer without a body (status 204). Raises AgentError and whatever
# the calls to the authorization server raise.
Call = Callable[[Exchange], Awaitable[Members | None]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call of the API. `guarded`: made by browsers, so that other sites might make them make it.

    `oauth_errors`: made by the authorization server, which reads errors as RFC 6749 section 5.2 writes them.
    """

    path: str
    methods: tuple[str, ...]
    call: Call
    guarded: bool = True
    oauth_errors: bool = False


class Api(Protocol):
    """One app's agent, in one version of the API."""

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """Everything there is to call."""

    def guard(self, request: Request) -> None:
        """No other site can make a browser pass this. Raises AgentError."""

    def error(self, failure: AgentError) -> tuple[int, Members]:
        """The status and the members of an error answer."""
