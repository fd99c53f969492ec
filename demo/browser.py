"""A browser without a screen: keeps cookies and sends Origin like one, and calls the agent as the app's page does.

Python's own cookie rules withhold Secure cookies over http; browsers make an exception for localhost, and so does it.
"""

from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2

CUSTOM_HEADER = {"token-handler-version": "1"}
AGENT = "/oauth-agent"


class Browser:
    """One person's browser at the app of `origin`. `resolve`: host:port in a URL to where it really listens.

    `api_origin`: where agent and API are, when they are not where the page is.
    """

    def __init__(
        self,
        origin: str,
        resolve: Mapping[str, str] | None = None,
        *,
        api_origin: str | None = None,
        http2: bool = False,
    ) -> None:
        self.origin = origin
        self.api_origin = api_origin or origin
        self.jar = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
        self._client = httpx2.Client(
            cookies=self.jar,
            transport=_Resolving(resolve or {}),
            # Only Envoy speaks HTTP/2; the identity provider does not.
            mounts={self.api_origin: _Resolving(resolve or {}, http2=http2)},
            follow_redirects=False,
            timeout=30.0,
        )
        self.last_sent: httpx2.Request | None = None

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """A fetch from the app's page: its cookies, and Origin unless it is a GET or HEAD of the same origin."""
        tells = method not in ("GET", "HEAD") or self.api_origin != self.origin
        headers = ({"origin": self.origin} if tells else {}) | options.pop("headers", CUSTOM_HEADER)
        response = self._client.request(method, self.api_origin + path, headers=headers, **options)
        self.last_sent = response.request
        return response

    def visit(self, url: str, **options: Any) -> httpx2.Response:
        """Go somewhere, like a click on a link, or with `data` on a button."""
        return self._client.request("POST" if "data" in options else "GET", url, **options)

    def agent(self, call: str, form: Mapping[str, str] | None = None) -> httpx2.Response:
        """One call of the agent, as the app's library makes it."""
        method = "GET" if call == "session" else "POST"
        return self.request(method, f"{AGENT}/{call}", data=form)

    def start_login(self, form: Mapping[str, str] | None = None) -> str:
        """The authorization URL the page is sent to."""
        url: str = self.agent("login/start", form).json()["authorization_url"]
        return url

    def authorize(self, url: str, user: str = "ada") -> dict[str, str]:
        """Click a person on the login page; what the page is given back."""
        redirect = self.visit(url, data={"user": user})
        return dict(parse_qsl(urlsplit(redirect.headers["location"]).query))

    def log_in(self, user: str = "ada") -> httpx2.Response:
        """The whole login."""
        return self.agent("login/end", self.authorize(self.start_login(), user))

    def cookies(self) -> dict[str, str]:
        """What the browser keeps for the app."""
        return {cookie.name: cookie.value or "" for cookie in self.jar}


class _Resolving(httpx2.HTTPTransport):
    """Connects elsewhere than the URL says, as a hosts file would; the Host header stays."""

    def __init__(self, resolve: Mapping[str, str], *, http2: bool = False) -> None:
        super().__init__(http1=not http2, http2=http2)
        self._resolve = resolve

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send to the resolved place."""
        place = self._resolve.get(request.url.netloc.decode())
        if place is None:
            return super().handle_request(request)
        host, port = place.split(":")
        url = request.url.copy_with(host=host, port=int(port))
        # A request of its own: the client files the answer's cookies under the URL it asked for.
        elsewhere = httpx2.Request(request.method, url, headers=request.headers, stream=request.stream)
        elsewhere.extensions = request.extensions
        return super().handle_request(elsewhere)
