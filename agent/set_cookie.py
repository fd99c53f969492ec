"""One Set-Cookie line, in the one form all our cookies have."""

from agent.errors import AgentError

# Browsers ignore a cookie whose name and value exceed this together (RFC 6265bis section 5.6).
MAX_BYTES = 4096


def set_cookie(name: str, value: str, *, path: str, domain: str | None, life: str = "") -> str:
    """The line: HttpOnly, Secure, SameSite=Strict. `life`: its Max-Age, if any."""
    shared = f"; Domain={domain}" if domain else ""
    return f"{name}={value}; Path={path}{shared}{life}; Secure; HttpOnly; SameSite=Strict"


def life(max_age: int | None) -> str:
    """The attribute for a cookie that lives so many seconds; None: until the browser is closed."""
    return "" if max_age is None else f"; Max-Age={max_age}"


def require_small(name: str, value: str, content: str) -> None:
    """Raise AgentError for a cookie browsers would drop; `content`: what is in it, and how large."""
    size = len(name) + len(value)
    if size > MAX_BYTES:
        raise AgentError(
            500,
            "cookie_too_large",
            f"cookie {name} would take {size} bytes for {content}, and browsers drop those over {MAX_BYTES}: "
            "ask the authorization server for opaque tokens and fewer ID token claims",
        )
