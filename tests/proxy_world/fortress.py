"""The proxy as it stands, with real keys and a real exchange, for attackers: each request through every door."""

import io
from dataclasses import replace

from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.authorizer import App, Authorizer
from extauthz.cache import Cache
from extauthz.cookies.access_token import AccessToken, SealedAccessTokens
from extauthz.cookies.header import CookieHeader
from extauthz.cookies.hpke import Opener, Sealer
from extauthz.cookies.keys import new_key_pair, read_private_key
from extauthz.cookies.purpose import Purpose
from extauthz.decision import BEARER_JWT, Allow, Decision, Deny
from extauthz.doors import messages
from extauthz.doors.desk import Desk
from extauthz.doors.dialects import ENVOY, FORWARD, NGINX
from extauthz.doors.http import doors
from extauthz.identity import IdentityHeaders
from extauthz.memory import Memory
from extauthz.metrics import Metrics
from extauthz.outcome import Outcome
from extauthz.policy import Auth, Policy, Route, Rule
from extauthz.reason import Reason
from extauthz.request import Request
from extauthz.upstream.jwt import VerifiedJwt
from proxy_world.asking import BANK, COOKIE, SHOP, ask
from proxy_world.authorization_server import ISSUER, Server, token
from proxy_world.door import check_request
from proxy_world.fakes import log_to
from proxy_world.http_door import as_envoy, as_forwarded, as_original, ask_http

KEY = read_private_key(new_key_pair("x25519")[0])
RETIRED = read_private_key(new_key_pair("p-256")[0])
GUARDED = replace(
    SHOP,
    identity=IdentityHeaders({"x-user-id": "sub"}),
    routes=(
        Route(path="/public", rule=Rule(auth=Auth.OFF)),
        Route(path="/admin", rule=Rule(scopes=frozenset({"admin"}))),
    ),
)
JWT = token({"sub": "ada"}, header={"typ": "at+jwt"})


class Fortress:
    """One proxy over shop and bank, and the authorization server behind it."""

    def __init__(self, policy: Policy = GUARDED) -> None:
        self.server, self.log, self.metrics = Server(), io.StringIO(), Metrics()
        self.server.introspects(JWT)
        self.answers: Cache[Outcome] = Cache(max_entries=1000, max_bytes=10_000_000, clock=self.server.clock)
        self.refusals: Cache[Outcome] = Cache(max_entries=1000, max_bytes=10_000_000, clock=self.server.clock)
        apps = [self._app(policy), self._app(BANK)]
        report = log_to(self.log)
        self.authorizer = Authorizer(apps, Memory(self.answers, self.refusals), report, self.server.clock)
        self.desk = Desk(self.authorizer, report, self.metrics)

    def _app(self, policy: Policy) -> App:
        verify = VerifiedJwt(keys=self.server.key_set(), issuer=ISSUER, clock=self.server.clock, profile=True)
        return App(
            policy=policy,
            opener=SealedAccessTokens(Opener([KEY], Purpose(policy.app, policy.cookie_name))),
            ways={"phantom": self.server.phantom(), BEARER_JWT: verify},
            max_seconds=60,
            claims=frozenset({"sub"}),
        )

    async def attack(self, request: Request) -> Decision:
        """The decision, after every door has given the same answer to the same request."""
        decision = await self.desk.decide(request, "core", 60)
        for raw in (True, False):
            answer = messages.write(await self.desk.decide(self._by_grpc(request, raw=raw), "grpc", 60))
            # Envoy's map has neither lines nor bytes: there, what cannot be told is refused, never guessed.
            self._agrees(decision, CheckResponse.FromString(answer), strict=raw)
        if not request.context:
            await self._by_http(request, decision)
        return decision

    async def refused(self, request: Request) -> Reason:
        """Why the attack failed at every door; an AssertionError when it did not."""
        decision = await self.attack(request)
        assert isinstance(decision, Deny), decision
        return decision.reason

    async def passed(self, request: Request) -> Allow:
        """What gets through at every door, with what the attacker tried taken out of it."""
        decision = await self.attack(request)
        assert isinstance(decision, Allow), decision
        assert [value for name, value in decision.set_headers if name == "authorization"] == [f"Bearer {JWT}"]
        return decision

    @staticmethod
    def _by_grpc(request: Request, *, raw: bool) -> Request:
        sent = replace(request, headers=dict(request.headers))
        if not raw:
            sent = _as_envoy_writes(sent)
        return messages.read(check_request(sent, raw=raw).SerializeToString())

    @staticmethod
    def _agrees(decision: Decision, answer: CheckResponse, *, strict: bool) -> None:
        if isinstance(decision, Deny):
            assert answer.status.code != 0
            assert not strict or answer.denied_response.status.code == decision.status
        elif strict:
            assert answer.status.code == 0
        if answer.status.code == 0:
            names = [option.header.key for option in answer.ok_response.headers]
            removed = list(answer.ok_response.headers_to_remove)
            assert names.count("authorization") + removed.count("authorization") == 1

    async def _by_http(self, request: Request, decision: Decision) -> None:
        app = doors([ENVOY, FORWARD, NGINX], self.desk, log_to(self.log), secret=None, wait=60)
        for say in (as_envoy, as_forwarded, as_original):
            answer = await ask_http(app, *say(request))
            assert (answer.status == 200) is (decision_status(decision) == 200), (say.__name__, answer)


def decision_status(decision: Decision) -> int:
    """200 for what is let through."""
    return decision.status if isinstance(decision, Deny) else 200


def sealed(
    plaintext: bytes | None = None, *, app: str = "shop", cookie: str = COOKIE, key: object = KEY, at: str = "0paque"
) -> str:
    """A cookie value, good in every respect that is not changed."""
    text = AccessToken(token=at, issued_at=1, session_id="s").to_bytes() if plaintext is None else plaintext
    return Sealer(key.public_key(), Purpose(app, cookie)).seal(text)  # type: ignore[attr-defined]


def good(**headers: str | None) -> Request:
    """A request with a good session."""
    return ask(cookies=(f"{COOKIE}={sealed()}",), **headers)  # type: ignore[arg-type]


def with_cookies(*lines: str) -> Request:
    """A request with these Cookie lines."""
    return ask(cookies=lines)


def _as_envoy_writes(request: Request) -> Request:
    """Envoy writes an exclamation mark for every byte that is not UTF-8."""
    lines = tuple(_written(line) for line in request.cookies.lines)
    headers = {name: _written(value) for name, value in request.headers.items()}
    return replace(request, headers=headers, cookies=CookieHeader(lines), path=_written(request.path))


def _written(text: str) -> str:
    return "".join("!" if "\ud800" <= character <= "\udfff" else character for character in text)
