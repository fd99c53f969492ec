"""An authorization server of a few lines: answers by path, remembers what it was asked, signs what a test wants."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from extauthz.oauth.breaker import CircuitBreaker
from extauthz.oauth.client_auth import ClientAuthentication, ClientSecretBasic
from extauthz.oauth.decryption import Decryption
from extauthz.oauth.http import HttpClient
from extauthz.oauth.introspection import Introspection
from extauthz.oauth.jwks import KeySet
from extauthz.oauth.metadata import Discovery
from extauthz.oauth.token_exchange import ACCESS_TOKEN, TokenExchange
from extauthz.upstream.answers import Answer as Form
from extauthz.upstream.answers import JsonAnswer, SignedAnswer
from extauthz.upstream.exchange import Exchange
from extauthz.upstream.introspected import Introspected
from extauthz.upstream.phantom import Phantom
from proxy_world.fakes import NOW, Clock

ISSUER = "https://as.example"
DISCOVERY, JWKS, INTROSPECT = "/.well-known/openid-configuration", "/jwks", "/introspect"
TOKEN = "/token"
SECRET = "a+b%:/ é"
CLIENT = "the proxy"

SigningKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
KEY = ec.generate_private_key(ec.SECP256R1())
CLAIMS: dict[str, object] = {"iss": ISSUER, "aud": "api", "exp": NOW + 300, "scope": "orders profile", "sub": "u"}

Answer = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


def jwk(key: SigningKey, **members: object) -> dict[str, Any]:
    """The public half as a JWK."""
    algorithms: list[tuple[type, type[jwt.algorithms.Algorithm]]] = [
        (ec.EllipticCurvePrivateKey, jwt.algorithms.ECAlgorithm),
        (ed25519.Ed25519PrivateKey, jwt.algorithms.OKPAlgorithm),
        (rsa.RSAPrivateKey, jwt.algorithms.RSAAlgorithm),
    ]
    algorithm = next(algorithm for type_, algorithm in algorithms if isinstance(key, type_))
    return {**json.loads(algorithm.to_jwk(key.public_key())), **members}


def token(
    claims: Mapping[str, object] | None = None,
    *,
    key: SigningKey = KEY,
    alg: str = "ES256",
    kid: str | None = "k1",
    header: Mapping[str, object] | None = None,
) -> str:
    """A signed JWT with the usual claims, changed by `claims`; None drops one."""
    members = {name: value for name, value in {**CLAIMS, **(claims or {})}.items() if value is not None}
    headers = {**({} if kid is None else {"kid": kid}), **(header or {})}
    return jwt.PyJWS().encode(json.dumps(members).encode(), key, algorithm=alg, headers=headers)


def unsigned(header: object, claims: object, signature: bytes = b"sig") -> str:
    """Three parts that look like a JWT, with whatever in them."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@dataclass
class Server:
    """Answers by path; `asked` are the requests so far."""

    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[httpx2.Request] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.publish([jwk(KEY, kid="k1")])
        self.describe()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = self.answers[request.url.path]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return answer(request)
        # As from the network: a body still to be read.
        return httpx2.Response(answer.status_code, headers=answer.headers, stream=httpx2.ByteStream(answer.content))

    def describe(self, **changes: object) -> None:
        """Publish the metadata, with `changes`; None drops a member."""
        members = {
            "issuer": ISSUER,
            "jwks_uri": ISSUER + JWKS,
            "introspection_endpoint": ISSUER + INTROSPECT,
            "token_endpoint": ISSUER + TOKEN,
        } | changes
        self.answers[DISCOVERY] = httpx2.Response(200, json={k: v for k, v in members.items() if v is not None})

    def publish(self, keys: object) -> None:
        """Publish a key set."""
        self.answers[JWKS] = httpx2.Response(200, json={"keys": keys})

    def introspects(self, body: str, *, status: int = 200, content_type: str = "application/jwt") -> None:
        """Answer introspection."""
        self.answers[INTROSPECT] = httpx2.Response(
            status, content=body.encode(), headers={"content-type": content_type}
        )

    def exchanges(self, members: Mapping[str, object] | None = None, *, status: int = 200) -> None:
        """Answer a token exchange with a JWT, changed by `members`; None drops one."""
        usual = {"access_token": token(), "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer"}
        answer = {**(usual if status == 200 else {}), **(members or {})}
        body = json.dumps({name: value for name, value in answer.items() if value is not None})
        self.answers[TOKEN] = httpx2.Response(
            status, content=body.encode(), headers={"content-type": "application/json"}
        )

    def asked_at(self, path: str) -> list[httpx2.Request]:
        """The requests for `path` so far."""
        return [request for request in self.asked if request.url.path == path]

    def form(self, path: str = INTROSPECT) -> dict[str, str]:
        """The last form that was posted, for introspection or there."""
        text = self.asked_at(path)[-1].content.decode()
        return dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True))

    def http(self, total_seconds: float = 5.0) -> HttpClient:
        """The product's client, connected to this server."""
        breaker = CircuitBreaker(self.clock, failures=1_000_000)  # asked whenever there is a question
        return HttpClient(transport=httpx2.MockTransport(self), total_seconds=total_seconds, breaker=breaker)

    def discovery(self) -> Discovery:
        """The product's view of the metadata."""
        return Discovery(ISSUER, self.http(), self.clock)

    def key_set(self) -> KeySet:
        """The product's view of the keys."""
        return KeySet(self.discovery(), self.http(), self.clock)

    def phantom(self, client: ClientAuthentication | None = None) -> Phantom:
        """The way `phantom` against this server."""
        introspection = self.introspection(client)
        return Phantom(introspection=introspection, keys=self.key_set(), issuer=ISSUER, clock=self.clock)

    def exchange(self, *, verify: bool = True, token_type: str = ACCESS_TOKEN) -> Exchange:
        """The way `exchange` against this server."""
        client = ClientSecretBasic(CLIENT, SECRET)
        asks = TokenExchange(self.discovery(), self.http(), client, token_type=token_type)
        return Exchange(exchange=asks, keys=self.key_set() if verify else None, issuer=ISSUER, clock=self.clock)

    def introspection(self, client: ClientAuthentication | None = None) -> Introspection:
        """The product's call."""
        return Introspection(self.discovery(), self.http(), client or ClientSecretBasic(CLIENT, SECRET))

    def introspected(self, *, signed: bool = False, decryption: Decryption | None = None) -> Introspected:
        """What the product understands of this server's JSON, or of its signed answers."""
        answer: Form = JsonAnswer()
        if signed:
            answer = SignedAnswer(
                keys=self.key_set(), issuer=ISSUER, client_id=CLIENT, clock=self.clock, decryption=decryption
            )
        return Introspected(introspection=self.introspection(), answer=answer, issuer=ISSUER, clock=self.clock)
