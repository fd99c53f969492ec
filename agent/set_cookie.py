"""One Set-Cookie line, in the one form all our cookies have."""

from agent.errors import AgentError

# Browsers ignore a cookie whose name and value exceed this together (RFC 6265bis section 5.6).
MAX_BYTES = 4096


def set_cookie(
    name: str, value: str, *, path: str, domain: str | None, max_age: int | None = None, content: str = ""
) -> str:
    """The line: HttpOnly, Secure, SameSite=Strict. Raises AgentError when it is too large.

    `max_age`: seconds, None until the browser is closed; `content`: what is in it, for who has to make it smaller.
    """
    size = len(name) + len(value)
    if size > MAX_BYTES:
        raise AgentError(
            500,
            "cookie_too_large",
            f"cookie {name} would take {size} bytes for {content}, and browsers drop those over {MAX_BYTES}: "
            "ask the authorization server for opaque tokens and fewer ID token claims",
        )
    shared = f"; Domain={domain}" if domain else ""
    life = "" if max_age is None else f"; Max-Age={max_age}"
    return f"{name}={value}; Path={path}{shared}{life}; Secure; HttpOnly; SameSite=Strict"
