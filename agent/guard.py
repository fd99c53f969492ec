"""What keeps other sites from making a browser call the agent (RFC 10017 section 6.1.3.3).

https://www.rfc-editor.org/rfc/rfc10017#section-6.1.3.3
"""

from collections.abc import Set

from starlette.requests import Request

from agent.errors import forbidden

CSRF_HEADER = "token-handler-version"
CSRF_VALUE = "1"


def require_custom_header(request: Request) -> None:
    """A header no form can send, and no script without a preflight. Raises AgentError."""
    if request.headers.getlist(CSRF_HEADER) != [CSRF_VALUE]:
        raise forbidden(f"the header {CSRF_HEADER}: {CSRF_VALUE} is missing")


def require_trusted_origin(request: Request, trusted: Set[str]) -> None:
    """Origin is a trusted one, and there wherever something may change. Raises AgentError."""
    origins = request.headers.getlist("origin")
    if request.method not in ("GET", "HEAD") and not origins:
        raise forbidden("the header Origin is missing")
    if any(origin not in trusted for origin in origins):
        raise forbidden("the origin is not trusted")
    if "cross-site" in request.headers.get("sec-fetch-site", ""):
        raise forbidden("another site made this request")
