"""The scalar settings that have a form of their own: URLs, origins, listeners, names."""

import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

APP_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+", re.ASCII)  # RFC 6749 section 3.3
# RFC 8707 section 2: an absolute URI (RFC 3986 section 4.3), which has no fragment.
RESOURCE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?@!$&'()*+,;=%\[\]-]+", re.ASCII)
PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+", re.ASCII)
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)  # RFC 9110 section 5.6.2
HEADER = re.compile(r"[a-z0-9]+(-[a-z0-9]+){0,5}", re.ASCII)
LOOPBACK = re.compile(r"(.+\.)?localhost|127\.\d+\.\d+\.\d+|::1")

# Headers that steer the connection, or that we set or read ourselves.
TAKEN = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "origin",
        "te",
        "token-handler-version",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)


def split(url: str) -> SplitResult:
    """A web URL without user, query or fragment; ValueError otherwise."""
    if not url.isascii() or not url.isprintable() or " " in url or "*" in url:
        raise ValueError("a URL is ASCII without blanks or wildcards; an international name is written as xn--")
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment or "@" in url:
        raise ValueError("an https URL without user, query or fragment is needed")
    _ = parts.port  # raises ValueError for a port that is no number
    return parts


def origin_of(url: str) -> str:
    """The origin as browsers serialize it: lower case, the scheme's own port left out.

    https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin
    """
    parts = split(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    standard = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, standard) else "")


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine, where plain http leaks nothing."""
    return LOOPBACK.fullmatch(split(url).hostname or "") is not None


def _url(url: str) -> str:
    split(url)
    return url


def _endpoint(url: str) -> str:
    address, _, query = url.partition("?")  # RFC 6749 section 3.1: an endpoint may have one
    split(address)
    if re.fullmatch(r"[!-~]*", query) is None or "#" in query:
        raise ValueError("an https URL without user or fragment is needed")
    return url


def _issuer(url: str) -> str:
    split(url)
    if "/.well-known/" in url:
        raise ValueError("the issuer identifier is needed: what stands before /.well-known/")
    return url


def _origin(origin: str) -> str:
    if origin_of(origin) != origin:
        raise ValueError(f"an origin is scheme, host and port only, as browsers write it: {origin_of(origin)}")
    return origin


def _app_name(name: str) -> str:
    if not APP_NAME.fullmatch(name):
        raise ValueError("an app's name is 1 to 32 of a-z, 0-9 and inner hyphens")
    return name


def _path(path: str) -> str:
    if not PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError("a path like /oauth-agent is needed: it starts with a slash and ends without one")
    return path


def _route_path(path: str) -> str:
    # A segment some server would read differently could never be matched with certainty.
    if path != "/" and (not PATH.fullmatch(path) or any(segment.endswith(".") for segment in path.split("/"))):
        raise ValueError(
            "a path like /api/public is needed: letters, digits and ._~- between slashes, none at the end, "
            "and no segment that ends with a dot"
        )
    return path


def _cookie_prefix(prefix: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", prefix) is None:
        raise ValueError("1 to 64 of A-Z, a-z, 0-9, dot, hyphen and underscore are needed")
    return prefix


def _cors_token(name: str) -> str:
    if not TOKEN.fullmatch(name):
        raise ValueError("a name without blanks or commas is needed")
    if name == "*":
        # https://fetch.spec.whatwg.org/#http-new-header-syntax: a wildcard only without credentials
        raise ValueError("with cookies, browsers take * for a name; list what is meant")
    return name


def _cors_method(method: str) -> str:
    if not method.isupper():
        raise ValueError("methods are written in capitals: GET")  # they are compared letter by letter
    return method


def _identity_header(name: str) -> str:
    if not HEADER.fullmatch(name):
        raise ValueError("a header's name in lower case, with at most five hyphens, is needed")
    if name in TAKEN or name.startswith(("x-envoy-", "x-forwarded-", "proxy-", "sec-", "access-control-")):
        raise ValueError("this header has a meaning of its own; choose one of yours, such as x-user-id")
    return name


def _header_prefix(prefix: str) -> str:
    if not prefix.endswith("-") or not HEADER.fullmatch(prefix[:-1]):
        raise ValueError("the beginning of header names, in lower case and with a hyphen at its end, is needed")
    return prefix


def _listener(address: str) -> str:
    if re.fullmatch(r"unix:/.+|(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}", address) is None:
        raise ValueError("a listener is HOST:PORT or unix:/PATH")
    if not address.startswith("unix:") and int(address.rpartition(":")[2]) > 65535:
        raise ValueError("a port is at most 65535")
    return address


def _scope(scope: str) -> str:
    if not scope or not all(SCOPE_TOKEN.fullmatch(token) for token in scope.split(" ")):
        raise ValueError("scope tokens separated by single blanks are needed")
    return scope


def _route_scope(scope: str) -> str:
    try:
        return scope and _scope(scope)
    except ValueError as error:
        raise ValueError(f"{error}, or '' for none") from None


def _scope_token(token: str) -> str:
    if not SCOPE_TOKEN.fullmatch(token):
        raise ValueError("one scope token without blanks is needed")
    return token


def _resource(uri: str) -> str:
    if not RESOURCE.fullmatch(uri):
        raise ValueError("an absolute URI without a fragment is needed")
    return uri


def _host(host: str) -> str:
    if re.fullmatch(r"[a-z0-9.-]+|\[[0-9a-f:]+\]", host) is None:
        raise ValueError("a host name in lower case, without port, is needed")
    return host


Url = Annotated[str, AfterValidator(_url)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
Issuer = Annotated[str, AfterValidator(_issuer)]
Origin = Annotated[str, AfterValidator(_origin)]
AppName = Annotated[str, AfterValidator(_app_name)]
UrlPath = Annotated[str, AfterValidator(_path)]
Listener = Annotated[str, AfterValidator(_listener)]
Scope = Annotated[str, AfterValidator(_scope)]
RouteScope = Annotated[str, AfterValidator(_route_scope)]
ScopeToken = Annotated[str, AfterValidator(_scope_token)]
Resource = Annotated[str, AfterValidator(_resource)]
Host = Annotated[str, AfterValidator(_host)]
RoutePath = Annotated[str, AfterValidator(_route_path)]
CookiePrefix = Annotated[str, AfterValidator(_cookie_prefix)]
CorsToken = Annotated[str, AfterValidator(_cors_token)]
CorsMethod = Annotated[CorsToken, AfterValidator(_cors_method)]
IdentityHeader = Annotated[str, AfterValidator(_identity_header)]
HeaderPrefix = Annotated[str, AfterValidator(_header_prefix)]
