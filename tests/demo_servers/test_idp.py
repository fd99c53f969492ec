"""The mock provider, seen as its clients see it: in process, on a clock that only moves when told."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote_plus, urlsplit

import httpx2
import jwt
import pytest
from joserfc.jwe import JWERegistry, decrypt_compact
from joserfc.jwk import ECKey, OKPKey, RSAKey

from demo.idp import Client, IdpConfig, create_idp
from demo.idp.config import read_clients
from demo.idp.mode import Mode

pytestmark = pytest.mark.anyio

ISSUER = "http://idp.test"
REDIRECT = "http://shop.test/callback"
HOME = "http://shop.test/"
SECRET = "a+b%:/ é and then some"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
QUERY = {
    "client_id": "shop",
    "redirect_uri": REDIRECT,
    "response_type": "code",
    "scope": "openid profile orders",
    "state": "the-state",
    "nonce": "the-nonce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
CLIENTS = (
    Client(
        client_id="shop",
        client_secret=SECRET,
        redirect_uris=(REDIRECT,),
        post_logout_redirect_uris=(HOME,),
        scope="openid profile orders",
        audiences=("books", "urn:reports"),
    ),
    Client(client_id="other", client_secret="other-client-secret", redirect_uris=(HOME,)),
)


def basic(client_id: str, secret: str) -> dict[str, str]:
    """Client credentials as RFC 6749 section 2.3.1 wants them."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


SHOP = basic("shop", SECRET)


@dataclass
class World:
    """A provider, a browser and client in one, and the time."""

    http: httpx2.AsyncClient
    clock: list[float] = field(default_factory=lambda: [1_000_000.0])

    async def authorize(self, **changes: str) -> httpx2.Response:
        """Open the authorization URL."""
        return await self.http.get("/authorize", params={**QUERY, **changes})

    async def click(self, form: dict[str, str], **changes: str) -> dict[str, str]:
        """Use the login page and return what the application is told."""
        answer = await self.http.post("/authorize", params={**QUERY, **changes}, data=form)
        return told(answer)

    async def token(self, **form: str) -> httpx2.Response:
        """Call the token endpoint."""
        return await self.http.post("/token", data=form, headers=SHOP)

    async def redeem(self, code: str, **changes: str) -> httpx2.Response:
        """Exchange a code."""
        form = {"redirect_uri": REDIRECT, "code_verifier": VERIFIER, **changes}
        return await self.token(grant_type="authorization_code", code=code, **form)

    async def refresh(self, refresh_token: str, **changes: str) -> httpx2.Response:
        """Exchange a refresh token."""
        return await self.token(grant_type="refresh_token", refresh_token=refresh_token, **changes)

    async def login(self) -> dict[str, str]:
        """Sign Ada in and return the token response."""
        answer = await self.redeem((await self.click({"user": "ada"}))["code"])
        assert answer.status_code == 200
        return {name: str(value) for name, value in answer.json().items()}

    async def introspect(self, token: str, accept: str = "application/jwt") -> httpx2.Response:
        """Ask about a token."""
        return await self.http.post("/introspect", data={"token": token}, headers={**SHOP, "accept": accept})

    async def claims(self, token: str, audience: str) -> dict[str, object]:
        """Verify a JWT by the published keys."""
        keys = jwt.PyJWKSet.from_dict((await self.http.get("/jwks")).json())
        key = keys[jwt.get_unverified_header(token)["kid"]]
        options: jwt.types.Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
        return jwt.decode(token, key, ["ES256"], audience=audience, issuer=ISSUER, options=options)

    async def control(self, name: str, **wishes: object) -> httpx2.Response:
        """Use the control endpoint."""
        return await self.http.post(f"/_control/{name}", json=wishes)


def told(answer: httpx2.Response) -> dict[str, str]:
    """The parameters of a redirect to the application."""
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(REDIRECT)
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


async def pushed(world: World) -> dict[str, str]:
    """The query that stands for a request pushed just now."""
    answer = await world.http.post("/par", data=QUERY, headers=SHOP)
    assert (answer.status_code, answer.json()["expires_in"]) == (201, 60)
    return {"client_id": "shop", "request_uri": answer.json()["request_uri"]}


async def audience(world: World, tokens: dict[str, str]) -> object:
    """What an access token is for."""
    return (await world.introspect(tokens["access_token"], "application/json")).json()["aud"]


@pytest.fixture
def anyio_backend() -> str:
    """One event loop is enough."""
    return "asyncio"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A fresh provider."""
    clock = [1_000_000.0]
    config = IdpConfig(issuer=ISSUER, clients=CLIENTS, clock=lambda: clock[0])
    transport = httpx2.ASGITransport(app=create_idp(config, control=True))
    async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as http:
        yield World(http, clock)


async def test_discovery_names_every_endpoint_under_the_issuer(world: World) -> None:
    """The metadata names the issuer exactly, promises S256 and `iss`, and puts each endpoint under the issuer."""
    metadata = (await world.http.get("/.well-known/openid-configuration")).json()
    assert metadata["issuer"] == ISSUER
    assert EXCHANGE["grant_type"] in metadata["grant_types_supported"]
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["authorization_response_iss_parameter_supported"] is True
    endpoints = [value for name, value in metadata.items() if name.endswith(("_endpoint", "_uri"))]
    assert len(endpoints) == 8
    assert all(one.startswith(f"{ISSUER}/") for one in endpoints)


async def test_a_login_gives_a_signed_id_token(world: World) -> None:
    """A click on a person ends in an ID token with that person, the nonce, and the hash of the access token."""
    tokens = await world.login()
    claims = await world.claims(tokens["id_token"], "shop")
    digest = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert claims["sub"] == "ada"
    assert claims["name"] == "Ada Lovelace"
    assert claims["nonce"] == "the-nonce"
    assert claims["auth_time"] == 1_000_000
    assert claims["at_hash"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == "300"


async def test_the_key_id_is_the_thumbprint(world: World) -> None:
    """The published key is named by its RFC 7638 thumbprint and holds no private part."""
    (key,) = (await world.http.get("/jwks")).json()["keys"]
    required = json.dumps({name: key[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    digest = hashlib.sha256(required.encode()).digest()
    assert key["kid"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert "d" not in key


async def test_the_login_page_needs_nothing_from_elsewhere(world: World) -> None:
    """The login page offers three people and a way out, and its policy allows its own style only."""
    page = await world.authorize()
    style = re.search(r"<style>(.*)</style>", page.text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert page.headers["content-security-policy"].startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert re.findall(r'name="user" value="(\w+)"', page.text) == ["ada", "alan", "grace"]
    assert 'name="cancel"' in page.text
    assert not re.search(r"https?://|<script|src=", page.text)


@pytest.mark.parametrize("change", [{"client_id": "nobody"}, {"redirect_uri": REDIRECT + "/"}])
async def test_a_stranger_gets_a_page_and_no_redirect(world: World, change: dict[str, str]) -> None:
    """With an unknown client or an unregistered redirect URI nobody is redirected anywhere."""
    answer = await world.authorize(**change)
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_repeated_parameter_is_refused(world: World) -> None:
    """An authorization request that names its state twice gets a page, not a code."""
    answer = await world.http.get("/authorize", params=[*QUERY.items(), ("state", "another")])
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"state": ""}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
    ],
)
async def test_a_known_client_is_told_what_is_wrong(world: World, change: dict[str, str], error: str) -> None:
    """Every other mistake is told to the application by redirect, with `iss`."""
    answer = told(await world.authorize(**change))
    assert (answer["error"], answer["iss"]) == (error, ISSUER)


async def test_cancel_is_access_denied(world: World) -> None:
    """The way out answers access_denied with state and iss, and no code."""
    answer = await world.click({"cancel": "yes"})
    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "the-state", ISSUER)
    assert "code" not in answer


async def test_single_sign_on_remembers_and_prompt_login_forgets(world: World) -> None:
    """After one login prompt=none gives a code, and prompt=login or an old session shows the page again."""
    await world.click({"user": "grace"})
    assert "code" in told(await world.authorize(prompt="none"))
    assert (await world.authorize(prompt="login")).status_code == 200
    world.clock[0] += 100
    assert "code" in told(await world.authorize(max_age="100"))
    assert (await world.authorize(max_age="99")).status_code == 200


async def test_the_session_cookie_stays_off_the_application(world: World) -> None:
    """The session cookie is limited to the provider's paths, since ports do not separate cookies."""
    answer = await world.http.post("/authorize", params=QUERY, data={"user": "ada"})
    cookies = answer.headers.get_list("set-cookie")
    assert {re.findall(r"Path=([^;]+)", cookie)[0] for cookie in cookies} == {"/authorize", "/logout"}
    assert all("HttpOnly" in cookie and "SameSite=lax" in cookie for cookie in cookies)


async def test_a_resource_is_what_the_token_is_for(world: World) -> None:
    """RFC 8707: granted to login, then asked for in whole or in part; nothing beyond it, and asking costs nothing."""
    query = {**QUERY, "resource": ["books", "urn:reports"]}
    answer = told(await world.http.post("/authorize", params=query, data={"user": "ada"}))
    tokens = (await world.redeem(answer["code"])).json()
    assert await audience(world, tokens) == ["books", "urn:reports"]
    refused = await world.refresh(tokens["refresh_token"], resource="api")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    tokens = (await world.refresh(tokens["refresh_token"], resource="books")).json()
    assert await audience(world, tokens) == "books"
    tokens = (await world.refresh(tokens["refresh_token"])).json()
    assert await audience(world, tokens) == ["books", "urn:reports"]


async def test_a_resource_of_nobody_is_refused(world: World) -> None:
    """An API this client has nothing to do with is no target."""
    assert told(await world.authorize(resource="https://bank.test/"))["error"] == "invalid_target"


@pytest.mark.parametrize("mode", ["jwt", "query.jwt"])
@pytest.mark.parametrize(("form", "member"), [({"user": "ada"}, "code"), ({"cancel": "yes"}, "error")])
async def test_a_response_is_signed_when_asked_for(world: World, mode: str, form: dict[str, str], member: str) -> None:
    """JARM: one parameter, a JWT of ours for this client that is soon over, errors alike."""
    answer = await world.click(form, response_mode=mode)
    assert list(answer) == ["response"]
    claims = await world.claims(answer["response"], "shop")
    assert (claims["state"], claims["exp"]) == ("the-state", world.clock[0] + 60)
    assert member in claims
    metadata = (await world.http.get("/.well-known/openid-configuration")).json()
    assert mode in metadata["response_modes_supported"]
    assert metadata["authorization_signing_alg_values_supported"] == ["ES256"]


async def test_a_mistake_is_told_signed_when_asked_for(world: World) -> None:
    """A request that cannot be granted is refused in the way it asked for."""
    answer = told(await world.authorize(response_mode="jwt", scope="openid admin"))
    assert (await world.claims(answer["response"], "shop"))["error"] == "invalid_scope"


async def test_a_pushed_request_is_granted_once(world: World) -> None:
    """RFC 9126: the reference and the client id do for all parameters, and for one answer."""
    query = await pushed(world)
    assert (await world.http.get("/authorize", params=query)).status_code == 200
    answer = told(await world.http.post("/authorize", params=query, data={"user": "ada"}))
    assert (answer["state"], answer["iss"]) == ("the-state", ISSUER)
    assert (await world.redeem(answer["code"])).status_code == 200
    assert (await world.http.get("/authorize", params=query)).status_code == 400
    query = await pushed(world)
    assert told(await world.http.post("/authorize", params=query, data={"cancel": "yes"}))["error"] == "access_denied"
    assert (await world.http.get("/authorize", params=query)).status_code == 400


async def test_what_the_browser_adds_to_a_pushed_request_counts_for_nothing(world: World) -> None:
    """Only what was pushed is granted."""
    query = {**await pushed(world), "state": "another", "redirect_uri": "https://evil.test/"}
    assert told(await world.http.post("/authorize", params=query, data={"user": "ada"}))["state"] == "the-state"


async def test_a_pushed_request_is_of_its_client(world: World) -> None:
    """Another client's reference is none, and neither is a made-up one."""
    query = await pushed(world)
    for change in ({"client_id": "other"}, {"request_uri": "urn:x"}):
        assert (await world.http.get("/authorize", params={**query, **change})).status_code == 400


@pytest.mark.parametrize(("seen", "seconds", "status"), [(False, 59, 303), (False, 60, 400), (True, 599, 303)])
async def test_a_pushed_request_expires(world: World, seen: bool, seconds: int, status: int) -> None:
    """The browser has a minute to come; the person, once there, has ten."""
    query = await pushed(world)
    if seen:
        await world.http.get("/authorize", params=query)
    world.clock[0] += seconds
    assert (await world.http.post("/authorize", params=query, data={"user": "ada"})).status_code == status


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"redirect_uri": "https://evil.test/"}, "invalid_request"),
        ({"client_id": "other"}, "invalid_request"),
        ({"request_uri": "urn:x"}, "invalid_request"),
    ],
)
async def test_a_request_that_cannot_be_granted_cannot_be_pushed(
    world: World, change: dict[str, str], error: str
) -> None:
    """The client is told at once."""
    answer = await world.http.post("/par", data={**QUERY, **change}, headers=SHOP)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_nobody_pushes_without_credentials(world: World) -> None:
    """Client authentication is as at the token endpoint."""
    assert (await world.http.post("/par", data=QUERY)).status_code == 401


async def test_pushing_can_be_required(world: World) -> None:
    """In that mode the metadata says so, and any other request is refused."""
    await world.control("mode", require_par=True)
    metadata = (await world.http.get("/.well-known/openid-configuration")).json()
    assert metadata["require_pushed_authorization_requests"] is True
    assert (await world.authorize()).status_code == 400
    assert (await world.http.get("/authorize", params=await pushed(world))).status_code == 200


@pytest.mark.parametrize("change", [{"code_verifier": "w" * 43}, {"redirect_uri": HOME}, {"code_verifier": ""}])
async def test_a_code_works_for_its_owner_only(world: World, change: dict[str, str]) -> None:
    """A code without its verifier or its redirect URI is an invalid grant."""
    code = (await world.click({"user": "ada"}))["code"]
    answer = await world.redeem(code, **change)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_a_code_used_twice_ends_the_grant(world: World) -> None:
    """The second use of a code is refused and kills the tokens of the first."""
    code = (await world.click({"user": "ada"}))["code"]
    tokens = (await world.redeem(code)).json()
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"
    assert (await world.introspect(tokens["access_token"])).status_code == 204


async def test_a_code_expires(world: World) -> None:
    """A code older than a minute is an invalid grant."""
    code = (await world.click({"user": "ada"}))["code"]
    world.clock[0] += 60
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"


async def test_refresh_rotates_and_reuse_ends_the_grant(world: World) -> None:
    """A refresh gives new tokens without a nonce; using the old refresh token again kills all of them."""
    first = await world.login()
    second = (await world.refresh(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert "nonce" not in await world.claims(second["id_token"], "shop")
    assert (await world.introspect(first["access_token"])).status_code == 200
    assert (await world.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await world.refresh(second["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await world.introspect(second["access_token"])).status_code == 204


async def test_refresh_may_narrow_the_scope_but_not_widen_it(world: World) -> None:
    """A narrower scope is granted for one access token; a wider one is refused and costs nothing."""
    tokens = await world.login()
    assert (await world.refresh(tokens["refresh_token"], scope="admin")).json()["error"] == "invalid_scope"
    narrow = (await world.refresh(tokens["refresh_token"], scope="openid")).json()
    assert narrow["scope"] == "openid"
    assert (await world.refresh(narrow["refresh_token"])).json()["scope"] == QUERY["scope"]


async def test_a_rotated_refresh_token_does_not_outlive_the_first(world: World) -> None:
    """The session ends an hour after login, however often it was refreshed."""
    tokens = await world.login()
    world.clock[0] += 3599
    tokens = (await world.refresh(tokens["refresh_token"])).json()
    world.clock[0] += 1
    assert (await world.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("headers", "form", "status", "error"),
    [
        (basic("shop", "wrong"), {}, 401, "invalid_client"),
        (basic("nobody", SECRET), {}, 401, "invalid_client"),
        ({"authorization": "Basic !"}, {}, 401, "invalid_client"),
        ({"authorization": "Bearer x"}, {}, 401, "invalid_client"),
        ({}, {}, 401, "invalid_client"),
        (SHOP, {"client_id": "shop", "client_secret": SECRET}, 400, "invalid_request"),
        (SHOP, {"grant_type": ""}, 400, "invalid_request"),
        (SHOP, {"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({}, {"client_id": "shop", "client_secret": SECRET, "grant_type": "x"}, 400, "unsupported_grant_type"),
    ],
)
async def test_token_endpoint_refusals(
    world: World, headers: dict[str, str], form: dict[str, str], status: int, error: str
) -> None:
    """The token endpoint answers each mistake with its RFC 6749 error, and a 401 with a Basic challenge."""
    answer = await world.http.post("/token", data={"grant_type": "refresh_token", **form}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get("www-authenticate", "").startswith("Basic") is (status == 401)


TYPE = "urn:ietf:params:oauth:token-type:"
EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": f"{TYPE}access_token",
}


@pytest.mark.parametrize(
    ("wishes", "aud", "scope"),
    [
        ({}, "api", QUERY["scope"]),
        ({"audience": "books"}, "books", QUERY["scope"]),
        ({"audience": "api", "scope": "orders"}, "api", "orders"),
        ({"resource": "urn:reports"}, "urn:reports", QUERY["scope"]),
        (
            {"audience": "books", "resource": "urn:reports"},
            ["books", "urn:reports"],
            QUERY["scope"],
        ),
        ({"audience": "books", "requested_token_type": f"{TYPE}jwt"}, "books", QUERY["scope"]),
    ],
)
async def test_an_exchange_gives_a_jwt_for_the_audience(
    world: World, wishes: dict[str, str], aud: object, scope: str
) -> None:
    """RFC 8693: the subject's own JWT for whom it was asked, with no more scope, and no longer a life."""
    tokens = await world.login()
    world.clock[0] += 100
    answer = await world.token(**EXCHANGE, subject_token=tokens["access_token"], **wishes)
    members = answer.json()
    assert (members["token_type"], members["expires_in"], members["scope"]) == ("Bearer", 200, scope)
    assert members["issued_token_type"] == wishes.get("requested_token_type", f"{TYPE}access_token")
    assert answer.headers["cache-control"] == "no-store"
    claims = await world.claims(members["access_token"], aud if isinstance(aud, str) else "books")
    assert (claims["aud"], claims["sub"], claims["client_id"], claims["scope"]) == (aud, "ada", "shop", scope)
    assert (claims["iat"], claims["exp"]) == (1_000_100, 1_000_300)
    assert jwt.get_unverified_header(members["access_token"])["typ"] == "at+jwt"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"subject_token": "unknown"}, "invalid_request"),
        ({"subject_token": ""}, "invalid_request"),
        ({"subject_token_type": f"{TYPE}jwt"}, "invalid_request"),
        ({"requested_token_type": f"{TYPE}refresh_token"}, "invalid_request"),
        ({"audience": "bank"}, "invalid_target"),
        ({"resource": "https://bank.test/"}, "invalid_target"),
        ({"scope": "orders admin"}, "invalid_scope"),
    ],
)
async def test_an_exchange_is_refused(world: World, change: dict[str, str], error: str) -> None:
    """Each mistake has its error, and a subject token that does not count is an invalid request."""
    tokens = await world.login()
    answer = await world.token(**{**EXCHANGE, "subject_token": tokens["access_token"], **change})
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_only_live_access_tokens_are_exchanged(world: World) -> None:
    """A refresh token is no access token, and one that has run out is none any more."""
    tokens = await world.login()
    wrong = await world.token(**EXCHANGE, subject_token=tokens["refresh_token"])
    world.clock[0] += 300
    late = await world.token(**EXCHANGE, subject_token=tokens["access_token"])
    assert [answer.json()["error"] for answer in (wrong, late)] == ["invalid_request"] * 2


async def test_an_audience_is_registered_with_its_client(world: World) -> None:
    """Another client's audiences are none of this one's; the exchange itself is for all, and counted."""
    tokens = await world.login()
    form = {**EXCHANGE, "subject_token": tokens["access_token"]}
    other = basic("other", "other-client-secret")
    usual = await world.http.post("/token", data=form, headers=other)
    foreign = await world.http.post("/token", data={**form, "audience": "books"}, headers=other)
    assert (usual.status_code, foreign.json()["error"]) == (200, "invalid_target")
    assert (await world.http.get("/_control/counters")).json()["token"] == 3


async def test_only_forms_are_read(world: World) -> None:
    """A JSON body at the token endpoint is an invalid request."""
    answer = await world.http.post("/token", json={"grant_type": "refresh_token"}, headers=SHOP)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_introspection_gives_the_phantom_token(world: World) -> None:
    """An active access token is answered with a raw at+jwt for the API, cacheable for as long as it lives."""
    tokens = await world.login()
    world.clock[0] += 100
    answer = await world.introspect(tokens["access_token"])
    claims = await world.claims(answer.text, "api")
    assert answer.headers["content-type"] == "application/jwt"
    assert answer.headers["cache-control"] == "max-age=200"
    assert jwt.get_unverified_header(answer.text)["typ"] == "at+jwt"
    assert (claims["sub"], claims["client_id"], claims["scope"]) == ("ada", "shop", QUERY["scope"])
    assert (claims["iat"], claims["exp"]) == (1_000_000, 1_000_300)
    assert {"jti", "nbf", "sid"} <= claims.keys()


async def test_inactive_tokens_have_no_phantom(world: World) -> None:
    """Unknown, expired and refresh tokens are answered 204 without a body."""
    tokens = await world.login()
    assert (await world.introspect("unknown")).status_code == 204
    assert (await world.introspect(tokens["refresh_token"])).status_code == 204
    world.clock[0] += 300
    answer = await world.introspect(tokens["access_token"])
    assert (answer.status_code, answer.content) == (204, b"")


async def test_introspection_needs_a_client(world: World) -> None:
    """Nobody asks about tokens without credentials (RFC 7662 section 2.1)."""
    answer = await world.http.post("/introspect", data={"token": "x"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(("mode", "has_jwt"), [("keycloak", True), ("plain", False)])
async def test_json_dialects(world: World, mode: str, has_jwt: bool) -> None:
    """The JSON dialects answer RFC 7662 members, and only Keycloak's holds the JWT."""
    tokens = await world.login()
    await world.control("mode", introspection=mode)
    answer = (await world.introspect(tokens["access_token"])).json()
    assert (answer["active"], answer["token_type"], answer["aud"]) == (True, "Bearer", "api")
    assert ("jwt" in answer) is has_jwt
    assert (await world.introspect("unknown")).json() == {"active": False}
    refresh = (await world.introspect(tokens["refresh_token"])).json()
    assert refresh["active"] is True
    assert not {"token_type", "aud", "jwt"} & refresh.keys()


SIGNED = "application/token-introspection+jwt"


async def signed_members(world: World, token: str) -> object:
    """What a signed answer says, its signature checked."""
    claims = await world.claims(token, "shop")
    assert jwt.get_unverified_header(token)["typ"] == "token-introspection+jwt"
    assert {"sub", "exp"}.isdisjoint(claims)  # RFC 9701 section 8.1
    return claims["token_introspection"]


@pytest.mark.parametrize("mode", ["rfc9701", "rfc9701-encrypted"])
async def test_signed_answers(world: World, mode: str) -> None:
    """RFC 9701: who asks for it gets a JWT for itself with the members inside, inactive tokens included."""
    tokens = await world.login()
    await world.control("mode", introspection=mode)
    answer = await world.introspect(tokens["access_token"], accept=SIGNED)
    assert answer.headers["content-type"] == SIGNED
    members = await signed_members(world, answer.text)
    assert isinstance(members, dict)
    assert (members["active"], members["sub"]) == (True, "ada")
    assert await signed_members(world, (await world.introspect("unknown", accept=SIGNED)).text) == {"active": False}


@pytest.mark.parametrize("accept", ["application/json", "application/jwt"])
async def test_signed_answers_are_json_to_those_who_do_not_ask(world: World, accept: str) -> None:
    """As with real servers, an Accept they do not know gets JSON, without a JWT in it."""
    tokens = await world.login()
    await world.control("mode", introspection="rfc9701")
    answer = await world.introspect(tokens["access_token"], accept=accept)
    assert answer.json()["active"] is True
    assert "jwt" not in answer.json()


ENCRYPTION_KEYS: dict[str, ECKey | OKPKey | RSAKey] = {
    "EC": ECKey.generate_key("P-256"),
    "OKP": OKPKey.generate_key("X25519"),
    "RSA": RSAKey.generate_key(),
}


@pytest.mark.parametrize("kind", ENCRYPTION_KEYS)
async def test_encrypted_answers(kind: str) -> None:
    """RFC 9701 section 5: signed, then encrypted to the registered key; and no other form for such a client."""
    key = ENCRYPTION_KEYS[kind]
    public = {name: str(value) for name, value in key.as_dict(private=False).items()}
    config = IdpConfig(issuer=ISSUER, clients=(replace(CLIENTS[0], encryption_jwk=public),), clock=lambda: 1_000_000.0)
    transport = httpx2.ASGITransport(app=create_idp(config, control=True))
    async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as http:
        world = World(http)
        await world.control("mode", introspection="rfc9701-encrypted")
        answer = await world.introspect("unknown", accept=SIGNED)
        registry = JWERegistry(algorithms=["ECDH-ES", "RSA-OAEP-256", "A256GCM"], strict_check_header=False)
        inside = decrypt_compact(answer.text, key, registry=registry)
        assert inside.protected["cty"] == "JWT"
        assert inside.plaintext is not None
        assert await signed_members(world, inside.plaintext.decode()) == {"active": False}
        refused = await world.introspect("unknown", accept="application/json")
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


async def test_jwt_mode_answers_json_to_those_who_ask_for_it(world: World) -> None:
    """Without application/jwt in Accept the answer is plain RFC 7662 JSON."""
    tokens = await world.login()
    answer = (await world.introspect(tokens["access_token"], accept="application/json")).json()
    assert answer["active"] is True
    assert "jwt" not in answer


async def test_revoking_an_access_token_ends_it_alone(world: World) -> None:
    """A revoked access token is inactive while its refresh token still works."""
    tokens = await world.login()
    await world.http.post("/revoke", data={"token": tokens["access_token"]}, headers=SHOP)
    assert (await world.introspect(tokens["access_token"])).status_code == 204
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200


async def test_revoking_a_refresh_token_ends_the_grant(world: World) -> None:
    """A revoked refresh token takes its access tokens along, and an unknown token is fine (RFC 7009)."""
    tokens = await world.login()
    for token in (tokens["refresh_token"], "unknown"):
        answer = await world.http.post("/revoke", data={"token": token}, headers=SHOP)
        assert answer.status_code == 200
    assert (await world.introspect(tokens["access_token"])).status_code == 204


async def test_another_client_cannot_use_or_revoke_a_token(world: World) -> None:
    """Tokens of one client are an invalid grant in the hands of another, and stay alive."""
    tokens = await world.login()
    other = basic("other", "other-client-secret")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await world.http.post("/token", data=form, headers=other)).json()["error"] == "invalid_grant"
    answer = await world.http.post("/revoke", data={"token": tokens["access_token"]}, headers=other)
    assert answer.json()["error"] == "invalid_grant"
    assert (await world.introspect(tokens["access_token"])).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_logout_ends_session_and_tokens(world: World, method: str) -> None:
    """Logout with a registered address leads back there with state, and neither session nor tokens remain."""
    tokens = await world.login()
    wish = {"client_id": "shop", "post_logout_redirect_uri": HOME, "state": "bye"}
    if method == "GET":
        answer = await world.http.get("/logout", params=wish)
    else:
        answer = await world.http.post("/logout", data=wish)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HOME}?state=bye")
    assert told(await world.authorize(prompt="none"))["error"] == "login_required"
    assert (await world.introspect(tokens["access_token"])).status_code == 204
    assert (await world.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_an_id_token_hint_is_enough_to_log_out(world: World) -> None:
    """A server without the browser's cookie ends the session by the ID token, even an expired one."""
    tokens = await world.login()
    world.http.cookies.clear()
    world.clock[0] += 1000
    wish = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": HOME}
    assert (await world.http.get("/logout", params=wish)).headers["location"] == HOME
    assert (await world.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({}, 200),
        ({"client_id": "shop", "post_logout_redirect_uri": "http://evil.test/"}, 200),
        ({"post_logout_redirect_uri": HOME}, 200),
        ({"id_token_hint": "not.a.jwt", "post_logout_redirect_uri": HOME}, 200),
    ],
)
async def test_logout_never_redirects_to_strangers(world: World, wish: dict[str, str], status: int) -> None:
    """Without a client or a registered address the person sees a page of ours."""
    answer = await world.http.get("/logout", params=wish)
    assert (answer.status_code, "location" in answer.headers) == (status, False)


async def test_a_hint_of_another_client_is_refused(world: World) -> None:
    """A logout request whose hint and client_id disagree changes nothing."""
    tokens = await world.login()
    wish = {"id_token_hint": tokens["id_token"], "client_id": "other"}
    assert (await world.http.get("/logout", params=wish)).status_code == 400
    assert (await world.introspect(tokens["access_token"])).status_code == 200


async def test_control_exists_only_when_asked_for() -> None:
    """A provider started without control has no control endpoint."""
    transport = httpx2.ASGITransport(app=create_idp(IdpConfig(issuer=ISSUER, clients=CLIENTS)))
    async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as http:
        assert (await http.get("/_control/secrets")).status_code == 404


async def test_counters_count_until_reset(world: World) -> None:
    """Each endpoint is counted, control is not, and reset starts from zero without losing tokens."""
    tokens = await world.login()
    await world.introspect(tokens["access_token"])
    counters = (await world.http.get("/_control/counters")).json()
    assert counters == {
        "discovery": 0, "jwks": 0, "authorize": 1, "par": 0, "token": 1, "introspect": 1, "revoke": 0, "logout": 0,
    }  # fmt: skip
    await world.control("mode", introspection_status=500)
    await world.control("reset")
    assert set((await world.http.get("/_control/counters")).json().values()) == {0}
    assert (await world.introspect(tokens["access_token"])).status_code == 200


async def test_forced_answers(world: World) -> None:
    """A forced status is answered with the wished body and type, and a code survives a forced token error."""
    code = (await world.click({"user": "ada"}))["code"]
    await world.control("mode", token_status=503)
    assert (await world.redeem(code)).status_code == 503
    await world.control("mode", token_status=None)
    tokens = (await world.redeem(code)).json()
    await world.control("mode", introspection_status=200, body="<html>", content_type="text/html")
    answer = await world.introspect(tokens["access_token"])
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, "<html>", "text/html")
    await world.control("mode", introspection_status=None, body=None, content_type="text/plain")
    relabelled = await world.introspect(tokens["access_token"])
    assert relabelled.headers["content-type"] == "text/plain"
    assert await world.claims(relabelled.text, "api")


async def test_held_token_requests(world: World) -> None:
    """They wait until they are let go, and are then answered as if nothing had been."""
    code = (await world.click({"user": "ada"}))["code"]
    await world.control("mode", token_held=True)
    held = asyncio.ensure_future(world.redeem(code))
    arrived = 0
    while not arrived:
        await asyncio.sleep(0)  # in process, nothing else would let the other go on
        arrived = (await world.http.get("/_control/counters")).json()["token"]
    assert not held.done()
    await world.control("mode", token_held=False)
    assert (await held).status_code == 200


async def test_overrides_replace_and_drop_members(world: World) -> None:
    """Overrides change JWTs, ID tokens and token responses; null drops a member."""
    await world.control(
        "mode",
        jwt_overrides={"scope": "other", "sid": None},
        id_token_overrides={"nonce": "wrong"},
        token_overrides={"refresh_token": None, "token_type": "DPoP"},
        access_token_seconds=7,
    )
    tokens = await world.login()
    assert ("refresh_token" in tokens, tokens["token_type"], tokens["expires_in"]) == (False, "DPoP", "7")
    assert (await world.claims(tokens["id_token"], "shop"))["nonce"] == "wrong"
    claims = await world.claims((await world.introspect(tokens["access_token"])).text, "api")
    assert (claims["scope"], "sid" in claims) == ("other", False)


@pytest.mark.parametrize(
    "wish", [{"introspektion": "jwt"}, {"introspection": "xml"}, {"token_status": "500"}, {"jwt_overrides": None}]
)
async def test_a_mode_that_makes_no_sense_is_refused(world: World, wish: dict[str, object]) -> None:
    """A misspelt wish is an error rather than a test that passes for no reason."""
    assert (await world.http.post("/_control/mode", json=wish)).status_code == 400


async def test_every_member_of_the_mode_can_be_set_to_its_default(world: World) -> None:
    """The default of each member is an acceptable wish."""
    defaults = {name: getattr(Mode(), name) for name in Mode.__dataclass_fields__}
    assert (await world.http.post("/_control/mode", json=defaults)).status_code == 200


async def test_tokens_expire_on_demand(world: World) -> None:
    """All access tokens can be expired at once, and refresh tokens too."""
    tokens = await world.login()
    assert (await world.control("expire", access_token="all")).json() == {"expired": {"access_token": 1}}
    assert (await world.introspect(tokens["access_token"])).status_code == 204
    tokens = (await world.refresh(tokens["refresh_token"])).json()
    await world.control("expire", refresh_token=tokens["refresh_token"])
    assert (await world.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_keys_rotate_and_the_last_one_stays(world: World) -> None:
    """After a rotation new tokens have a new key id and old ones can still be verified, until the next."""
    old = await world.login()
    kid = (await world.control("rotate-keys")).json()["kid"]
    new = await world.login()
    assert jwt.get_unverified_header(new["id_token"])["kid"] == kid
    assert await world.claims(old["id_token"], "shop")
    await world.control("rotate-keys")
    assert await world.claims(new["id_token"], "shop")
    with pytest.raises(KeyError):
        await world.claims(old["id_token"], "shop")


async def test_secrets_lists_everything_worth_hiding(world: World) -> None:
    """Codes, tokens, JWTs, client secrets, verifiers and cookies are listed, and nothing too short to look for."""
    answer = await world.click({"user": "ada"})
    tokens = (await world.redeem(answer["code"])).json()
    phantom = (await world.introspect(tokens["access_token"])).text
    await world.introspect("short")
    values = set((await world.http.get("/_control/secrets")).json()["values"])
    cookie = next(iter(world.http.cookies.jar)).value
    secrets = {SECRET, VERIFIER, answer["code"], phantom, cookie}
    assert secrets | {tokens[name] for name in ("access_token", "refresh_token", "id_token")} <= values
    assert min(map(len, values)) >= 16


@pytest.mark.parametrize("document", [{}, [], ["shop"], [{}], [{"client_id": "a", "client_secret": ""}]])
async def test_a_clients_file_must_make_sense(document: object) -> None:
    """A clients file without complete clients is refused."""
    with pytest.raises(ValueError, match=r"client|list"):
        read_clients(document)


async def test_health(world: World) -> None:
    """The provider says that it serves."""
    assert (await world.http.get("/healthz")).status_code == 200
