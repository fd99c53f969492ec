"""The authorization server as the agent reaches it: the mock provider, every request noted, any answer replaced."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import httpx2
from starlette.types import ASGIApp

Answer = Callable[[httpx2.Request], httpx2.Response]


class Server(httpx2.AsyncBaseTransport):
    """`answers`: by path, what is answered instead of the provider's answer. `down`: nothing can be reached."""

    def __init__(self, provider: ASGIApp, issuer: str) -> None:
        self._provider = httpx2.ASGITransport(app=provider)
        self._person = httpx2.AsyncClient(transport=self._provider, base_url=issuer)
        self.requests: list[httpx2.Request] = []
        self.answers: dict[str, Answer] = {}
        self.down = False
        self._before_answer: dict[str, Callable[[], Awaitable[None]]] = {}
        self._signed_in = ""  # the person's cookie at the provider

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer the agent."""
        await request.aread()
        self.requests.append(request)
        if self.down:
            raise httpx2.ConnectError("no route", request=request)
        happens = self._before_answer.pop(request.url.path, None)
        if happens is not None:
            await happens()
        answer = self.answers.get(request.url.path)
        if answer is None:
            return await self._provider.handle_async_request(request)
        given = answer(request)
        # Its body can be read only once, as over a wire.
        return httpx2.Response(given.status_code, headers=given.headers, stream=httpx2.ByteStream(given.content))

    async def visit(self, url: str, **form: str) -> dict[str, str]:
        """A person opens the authorization URL and clicks; the parameters the app's page is given back."""
        # Not by a client: those log URLs, and a test looks for secrets in every log.
        redirect = await self._provider.handle_async_request(httpx2.Request("POST", url, data=form))
        assert redirect.status_code == 303, await redirect.aread()
        self._signed_in = redirect.headers.get("set-cookie", self._signed_in).partition(";")[0]
        return dict(parse_qsl(redirect.headers["location"].partition("?")[2]))

    async def pass_by(self, url: str) -> dict[str, str] | None:
        """The browser opens the authorization URL; None when a person has to do something there."""
        headers = {"cookie": self._signed_in} if self._signed_in else {}
        redirect = await self._provider.handle_async_request(httpx2.Request("GET", url, headers=headers))
        location = redirect.headers.get("location", "")
        return dict(parse_qsl(location.partition("?")[2])) if location else None

    async def mode(self, **wishes: object) -> None:
        """Make the provider misbehave."""
        reply = await self._person.post("/_control/mode", content=json.dumps(wishes))  # NaN may pass
        assert reply.status_code == 200, reply.text

    async def metadata(self, **members: object) -> None:
        """Publish other metadata: members replaced, those that are None left out."""
        path = "/.well-known/openid-configuration"
        document = {**(await self._person.get(path)).json(), **members}
        kept = {name: value for name, value in document.items() if value is not None}
        self.answers[path] = lambda _: httpx2.Response(200, json=kept)

    async def expire(self, **kinds: str) -> None:
        """Let tokens expire now."""
        assert (await self._person.post("/_control/expire", json=kinds)).status_code == 200

    async def rotate_keys(self) -> None:
        """Sign with a new key from now on."""
        assert (await self._person.post("/_control/rotate-keys")).status_code == 200

    async def control(self, name: str) -> Any:
        """What the provider remembers: its counters, or its secrets."""
        return (await self._person.get(f"/_control/{name}")).json()

    async def logout_token(self, client_id: str, claims: Mapping[str, object], typ: str = "logout+jwt") -> str:
        """A logout token of the provider's, with `claims` over the usual ones."""
        wish = {"client_id": client_id, "claims": claims, "typ": typ}
        reply = await self._person.post("/_control/logout-token", content=json.dumps(wish))
        return str(reply.raise_for_status().json()["logout_token"])

    def answer_after(self, path: str, happens: Callable[[], Awaitable[None]]) -> None:
        """Let something happen while the agent waits for the answer of `path`, once."""
        self._before_answer[path] = happens

    async def key_id(self) -> str:
        """The name of the provider's signing key."""
        return str((await self._person.get("/jwks")).json()["keys"][0]["kid"])

    def asked(self, path: str) -> list[httpx2.Request]:
        """The agent's requests to `path`."""
        return [request for request in self.requests if request.url.path == path]


def form_of(request: httpx2.Request) -> dict[str, str]:
    """The form a request carried."""
    return dict(parse_qsl(request.content.decode(), keep_blank_values=True, strict_parsing=True))
