"""The one HTTP client towards authorization servers: every call bounded in time and size, no redirects.

A redirect is an error: following one would carry our client secret to another host.
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from math import inf
from typing import Any

import httpx2

from extauthz.oauth import strict_json
from extauthz.oauth.breaker import CircuitBreaker
from extauthz.oauth.client_auth import ClientAuthentication, Form
from extauthz.oauth.errors import AuthorizationServerError, Trouble

MAX_BODY_BYTES = 256 * 1024  # a JWKS of a hundred RSA keys is 60 kB
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])", re.ASCII | re.IGNORECASE)
# What a gateway says before a server that is not there. A 500 or a 429 may be about one request or one user alone:
# whoever brings it about must not be able to have the server left alone.
OVERLOADED = frozenset({502, 503, 504})
TOTAL_SECONDS = 5.0  # for a whole call, slow bodies included; connecting may take 2 of them
# The alerts of RFC 8446 section 6.2 that are about a client's certificate, in OpenSSL's words.
CERTIFICATE_REFUSED = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
# RFC 6749 section 5.2: what a server says with status 400 when it is about us, and not about the user's token.
REFUSALS = ("invalid_client", "unauthorized_client")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the authorization server, read to its end.

    `content_type` without parameters, lower case; `max_age`: of Cache-Control (RFC 9111 section 5.2.2.1), seconds.
    """

    status: int
    content_type: str
    body: bytes = field(repr=False)
    max_age: float = inf

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises AuthorizationServerError when it is none."""
        try:
            members = strict_json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise AuthorizationServerError(Trouble.BAD_ANSWER, "the answer is not JSON") from error
        if not isinstance(members, dict):
            raise AuthorizationServerError(Trouble.BAD_ANSWER, "the answer is not a JSON object")
        return members


class HttpClient:
    """Asks one authorization server.

    `ca_file` replaces the system's trust store; `certificate`: files of our own certificate and of its key, for servers
    that ask for one; `transport` and `breaker` are for tests.
    """

    def __init__(
        self,
        *,
        ca_file: str | None = None,
        certificate: tuple[str, str] | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        total_seconds: float = TOTAL_SECONDS,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self._total_seconds = total_seconds
        self._breaker = breaker or CircuitBreaker(time.monotonic)
        self._client = httpx2.AsyncClient(
            transport=transport,
            verify=_tls(ca_file, certificate) if transport is None else True,
            timeout=httpx2.Timeout(total_seconds, connect=min(2.0, total_seconds)),
            # All that are open may be kept: after a burst, the next would open as many again, with TLS.
            limits=httpx2.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=30.0),
            follow_redirects=False,
            # One user's answer must leave nothing behind in the next user's question.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            # identity only: a compressed answer could unfold to any size
            headers={"accept-encoding": "identity", "user-agent": "envoy-token-handler"},
        )

    async def get(self, url: str, *, bearer: str | None = None) -> Reply:
        """GET, for metadata and keys; with the access token `bearer`, for what belongs to its user."""
        headers = {"accept": "application/json", **({} if bearer is None else {"authorization": f"Bearer {bearer}"})}
        return await self._bounded(url, lambda: self._request("GET", url, headers), repeatable=True)

    async def post(
        self,
        url: str,
        form: Form,
        headers: Mapping[str, str],
        *,
        client: ClientAuthentication | None = None,
        repeatable: bool = False,
    ) -> Reply:
        """POST a form, URL-encoded, as `client`. `repeatable`: asking twice does no harm."""

        def request() -> httpx2.Request:
            # Anew for a second attempt: the server may have seen the first one's assertion, and takes none twice.
            proof, whole = client.authenticate(form) if client else ({}, form)
            return self._request("POST", url, {**headers, **proof}, whole)

        return await self._bounded(url, request, repeatable=repeatable)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _request(self, method: str, url: str, headers: Mapping[str, str], form: Form | None = None) -> httpx2.Request:
        try:
            return self._client.build_request(method, url, headers=dict(headers), data=dict(form) if form else None)
        except (httpx2.InvalidURL, UnicodeError) as error:
            raise AuthorizationServerError(Trouble.UNREACHABLE, f"{url} is no URL") from error

    async def _bounded(self, url: str, request: Callable[[], httpx2.Request], *, repeatable: bool) -> Reply:
        self._breaker.admit()
        try:
            async with asyncio.timeout(self._total_seconds):
                reply = await self._ask(request, repeatable=repeatable)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise self._failed(Trouble.TIMEOUT, f"{url} did not answer in time") from error
        # TLS 1.3 refuses a client's certificate after the handshake, where the library lets OpenSSL's error through.
        except (httpx2.HTTPError, ssl.SSLError) as error:
            if _refuses_certificate(error):
                self._breaker.succeeded()  # it is there, and has read what we sent
                message = f"{url} wants a TLS certificate, or another than ours"
                raise AuthorizationServerError(Trouble.REFUSED_US, message) from error
            raise self._failed(Trouble.UNREACHABLE, f"{url} cannot be reached: {_why(error)}") from error
        if reply.status in OVERLOADED:
            self._failed(Trouble.ERROR, f"{url} answered status {reply.status}")
        else:
            self._breaker.succeeded()
        return reply

    def _failed(self, trouble: Trouble, message: str) -> AuthorizationServerError:
        error = AuthorizationServerError(trouble, message)
        self._breaker.failed(error)
        return error

    async def _ask(self, request: Callable[[], httpx2.Request], *, repeatable: bool) -> Reply:
        try:
            return await self._send(request())
        except httpx2.ConnectError:
            # It has not even been heard. One of several addresses may be down, or the server just starting.
            return await self._send(request())
        except (httpx2.NetworkError, httpx2.RemoteProtocolError):
            # A connection that was kept for us may end the moment we use it.
            if not repeatable:
                raise
            return await self._send(request())

    async def _send(self, request: httpx2.Request) -> Reply:
        response = await self._client.send(request, stream=True)
        try:
            body = await _read(response)
        finally:
            await response.aclose()
        headers = response.headers
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        return Reply(response.status_code, content_type, body, _max_age(headers.get("cache-control", "")))


def _tls(ca_file: str | None, certificate: tuple[str, str] | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file) if ca_file else httpx2.create_ssl_context()
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _refuses_certificate(error: BaseException) -> bool:
    return any(isinstance(cause, ssl.SSLError) and cause.reason in CERTIFICATE_REFUSED for cause in _causes(error))


def _why(error: BaseException) -> str:
    """What the system said, in words of ours: a foreign message may quote what it is about."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return f"TLS, the certificate is not trusted ({cause.verify_message})"
            case ssl.SSLError():
                return "TLS, the other side does not speak it as we do"
            case socket.gaierror():
                return "the name is not known"
            case ConnectionRefusedError():
                return "connection refused"
    return type(error).__name__


def _max_age(cache_control: str) -> float:
    found = _MAX_AGE.search(cache_control)
    return float(found[1]) if found else inf


async def _read(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise AuthorizationServerError(Trouble.BAD_ANSWER, f"the answer exceeds {MAX_BODY_BYTES} bytes")
    return bytes(body)


def require_success(reply: Reply, what: str, *, status: int = 200) -> None:
    """Raise AuthorizationServerError unless the status is `status`; `what` names the call in the message."""
    if reply.status in (401, 403) or (reply.status == 400 and _error(reply) in REFUSALS):
        message = f"{what} refused our client credentials with status {reply.status}"
        raise AuthorizationServerError(Trouble.REFUSED_US, message)
    if reply.status != status:
        raise AuthorizationServerError(Trouble.ERROR, f"{what} answered status {reply.status}")


def _error(reply: Reply) -> object:
    try:
        return reply.json().get("error")
    except AuthorizationServerError:
        return None
