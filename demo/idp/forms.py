"""Parameters in, parameters out: forms and query strings as OAuth wants them."""

from collections import Counter
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request

from demo.idp.errors import OAuthError

FORM = "application/x-www-form-urlencoded"


def read_parameters(text: str) -> dict[str, str]:
    """Parse a query or form; RFC 6749 section 3.1: empty counts as omitted, repeated is an error.

    But for `resource` (RFC 8707 section 2): its values are joined by blanks, which no URI has.
    """
    pairs = parse_qsl(text)
    repeated = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1 and name != "resource"]
    if repeated:
        raise OAuthError("invalid_request", f"repeated parameter: {', '.join(repeated)}")
    resources = " ".join(value for name, value in pairs if name == "resource")
    return {**dict(pairs), "resource": resources} if resources else dict(pairs)


async def read_form(request: Request) -> dict[str, str]:
    """Read a form-encoded body, and nothing else."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != FORM:
        raise OAuthError("invalid_request", f"the body must be {FORM}")
    return read_parameters((await request.body()).decode("utf-8", "replace"))


def with_parameters(uri: str, parameters: Mapping[str, str | None]) -> str:
    """Append the parameters that have a value to a URI that may have a query already."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    if not query:
        return uri
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{query}"
