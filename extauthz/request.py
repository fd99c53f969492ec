"""What a door hands to the decision: the values of one HTTP request, whatever protocol asked about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from extauthz.cookies.header import CookieHeader

# RFC 9110 section 9.2.1; every other method, known or not, may change something.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


# Made for every request, and nothing changes it; but to freeze it would take as long again as to make it.
@dataclass(slots=True, kw_only=True)
class Request:
    """Header names in lower case, repeated headers joined by commas, no cookie among them.

    `path` as it was sent, with its query; `context` are settings of the route, from whoever configured it.
    """

    method: str
    path: str
    host: str
    headers: Mapping[str, str] = field(repr=False)
    cookies: CookieHeader = field(default=CookieHeader(), repr=False)
    context: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_safe(self) -> bool:
        """Whether the method promises to change nothing."""
        return self.method in SAFE_METHODS
