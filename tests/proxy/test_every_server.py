"""Every way at every kind of authorization server: what an API gets of it, or what the operator is told to change.

The mock identity provider answers introspection in five styles; the sample API verifies what it gets by the keys of
whom it trusts. All of it by their own code, in process.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc.jwk import ECKey
from proxy_world.asking import ask
from proxy_world.fakes import log_to
from proxy_world.installation import install, minimal, put

from demo.api import ApiConfig, create_api
from demo.idp import Client, IdpConfig, create_idp
from demo.idp.token_endpoint import s256
from extauthz.authorizer import Authorizer, Pending
from extauthz.build import build_apps, build_memory, published_keys
from extauthz.config import Config, Program, load
from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.hpke import Sealer
from extauthz.cookies.keys import read_public_key
from extauthz.cookies.purpose import Purpose
from extauthz.decision import Allow, Decision, Deny
from extauthz.doors import jwks
from extauthz.oauth.http import HttpClient
from extauthz.oauth.issuer import Issuer
from extauthz.oauth.key_ring import key_set, new_key

pytestmark = pytest.mark.anyio

ISSUER, OURS = "http://localhost:9000", "https://tokens.shop.example"
REDIRECT, COOKIE, SECRET = "https://www.shop.example/", "__Host-Http-shop-at", "s3cr3t-of-the-shop"
VERIFIER = "v" * 43
QUERY = {
    "client_id": "shop",
    "redirect_uri": REDIRECT,
    "response_type": "code",
    "scope": "openid orders",
    "state": "s",
    "nonce": "n",
    "code_challenge": s256(VERIFIER),
    "code_challenge_method": "S256",
}
MINT = {"issuer": OURS, "key_files": ["mint.pem"]}

# Each way with its settings, as an operator would write them.
WAYS: dict[str, dict[str, Any]] = {
    "phantom": {"way": "phantom", "audience": "api"},
    "mint": {"way": "mint", "audience": "api", "mint": MINT},
    "mint, signed": {"way": "mint", "audience": "api", "mint": MINT, "introspection": "jwt"},
    "mint, encrypted": {
        "way": "mint",
        "audience": "api",
        "mint": MINT,
        "introspection": "jwt",
        "introspection_key_files": ["introspection.pem"],
    },
    "opaque": {"way": "opaque"},
    "exchange": {"way": "exchange", "audience": "api"},
    "jwt": {"way": "jwt", "audience": "api"},
}

THEIR_JWT, OUR_JWT, AS_IT_IS = "a JWT of the issuer's", "a JWT of ours", "the token as it is"
NO_JWT = ("as_bad_answer", 503, "way: mint")
NOT_SIGNED = ("as_bad_answer", 503, "introspection: json")
NO_KEY = ("as_bad_answer", 503, "introspection_key_files")
OTHER_FORM = ("as_error", 503, "introspection: jwt")
NO_JWT_IN_COOKIE = ("token_invalid", 401, "phantom and mint")

TABLE = {
    #                   Curity     Keycloak   RFC 7662   RFC 9701 signed  and encrypted
    "phantom": (THEIR_JWT, THEIR_JWT, NO_JWT, NO_JWT, OTHER_FORM),
    "mint": (OUR_JWT, OUR_JWT, OUR_JWT, OUR_JWT, OTHER_FORM),
    "mint, signed": (NOT_SIGNED, NOT_SIGNED, NOT_SIGNED, OUR_JWT, NO_KEY),
    "mint, encrypted": (NOT_SIGNED, NOT_SIGNED, NOT_SIGNED, OUR_JWT, OUR_JWT),
    "opaque": (AS_IT_IS,) * 5,
    "exchange": (THEIR_JWT,) * 5,
    "jwt": (NO_JWT_IN_COOKIE,) * 5,
}
STYLES = ("jwt", "keycloak", "plain", "rfc9701", "rfc9701-encrypted")
CELLS = [(way, style, cell) for way, row in TABLE.items() for style, cell in zip(STYLES, row, strict=True)]


@dataclass
class World:
    """An identity provider, and the proxy in front of an API that trusts whom the way needs."""

    folder: Path
    idp: httpx2.ASGITransport

    async def opaque_token(self, style: str) -> str:
        """An access token of Ada's; the provider answers in `style` from now on."""
        async with httpx2.AsyncClient(transport=self.idp, base_url=ISSUER) as http:
            (await http.post("/_control/mode", json={"introspection": style})).raise_for_status()
            sent = await http.post("/authorize", params=QUERY, data={"user": "ada"})
            code = parse_qs(urlsplit(sent.headers["location"]).query)["code"][0]
            form = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": REDIRECT,
                "code_verifier": VERIFIER,
                "client_id": "shop",
                "client_secret": SECRET,
            }
            return str((await http.post("/token", data=form)).raise_for_status().json()["access_token"])

    def config(self, way: str) -> Config:
        """The configuration with this way."""
        document = put(put(minimal(), "apps.shop.issuer", ISSUER), "apps.shop.upstream", WAYS[way])
        return load(install(self.folder, document), Program.EXTAUTHZ, {})

    async def decide(self, config: Config, token: str) -> Decision:
        """What the proxy makes of a session with this token."""
        issuer = Issuer(ISSUER, HttpClient(transport=self.idp), moment)
        apps = build_apps(config, {"shop": issuer}, wall=moment)
        authorizer = Authorizer(apps, build_memory(config, moment), log_to(io.StringIO()), moment)
        public = read_public_key((self.folder / "cookie-public.pem").read_bytes())
        plaintext = AccessToken(token=token, issued_at=1, session_id="s").to_bytes()
        sealed = Sealer(public, Purpose("shop", COOKIE)).seal(plaintext)
        found = authorizer.decide(ask(cookies=(f"{COOKIE}={sealed}",)))
        return await authorizer.complete(found) if isinstance(found, Pending) else found

    async def api_says(self, authorization: str, config: Config) -> httpx2.Response:
        """The API's answer; it trusts us where we sign, else the identity provider."""
        ours = published_keys(config)
        trusted = ApiConfig(issuer=OURS, audience="api", jwks_url=f"{OURS}{jwks.PATH}", clock=moment)
        keys = httpx2.ASGITransport(app=jwks.Jwks(key_set(ours)))
        if not ours:
            trusted, keys = ApiConfig(issuer=ISSUER, audience="api", clock=moment), self.idp
        transport = httpx2.ASGITransport(app=create_api(trusted, transport=keys))
        async with httpx2.AsyncClient(transport=transport, base_url="https://api.example") as http:
            return await http.get("/orders", headers={"authorization": authorization})


def moment() -> float:
    """One moment for all: the provider's, the proxy's and the API's."""
    return 1_000_000.0


@pytest.fixture
def world(tmp_path: Path) -> World:
    """All of it."""
    key = ECKey.generate_key("P-256")
    (tmp_path / "introspection.pem").write_bytes(key.as_pem(private=True))
    (tmp_path / "mint.pem").write_bytes(new_key("ES256"))
    client = Client(
        client_id="shop",
        client_secret=SECRET,
        redirect_uris=(REDIRECT,),
        scope="openid orders",
        encryption_jwk={name: str(value) for name, value in key.as_dict(private=False).items()},
    )
    idp = create_idp(IdpConfig(issuer=ISSUER, clients=(client,), clock=moment), control=True)
    return World(tmp_path, httpx2.ASGITransport(app=idp))


@pytest.mark.parametrize(("way", "style", "cell"), CELLS, ids=[f"{way} at {style}" for way, style, _ in CELLS])
async def test_every_way_at_every_server(world: World, way: str, style: str, cell: str | tuple[str, int, str]) -> None:
    """The API accepts the JWT it gets, or the operator is told what to change; there is nothing between."""
    token, config = await world.opaque_token(style), world.config(way)
    decision = await world.decide(config, token)
    if not isinstance(cell, str):
        assert isinstance(decision, Deny), decision
        assert (decision.reason, decision.status) == cell[:2]
        assert cell[2] in decision.detail
        assert token not in decision.detail
        return
    assert isinstance(decision, Allow), decision
    authorization = dict(decision.set_headers)["authorization"]
    if cell == AS_IT_IS:
        assert authorization == f"Bearer {token}"
        return
    answer = await world.api_says(authorization, config)
    assert answer.status_code == 200, answer.text
    claims = answer.json()["claims"]
    assert (claims["sub"], claims["client_id"], claims["aud"]) == ("ada", "shop", "api")
    assert claims["iss"] == (OURS if cell == OUR_JWT else ISSUER)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("way", [way for way in WAYS if way != "opaque"])
async def test_a_revoked_token_is_never_good(world: World, way: str, style: str) -> None:
    """A token that is no longer active makes no JWT, at any server."""
    token, config = await world.opaque_token(style), world.config(way)
    async with httpx2.AsyncClient(transport=world.idp, base_url=ISSUER) as http:
        await http.post("/_control/expire", json={"access_token": "all"})
    decision = await world.decide(config, token)
    assert isinstance(decision, Deny)
    assert decision.status in (401, 503)
    usable = isinstance(TABLE[way][STYLES.index(style)], str)
    assert not usable or (decision.reason, decision.status) == ("token_inactive", 401)


@pytest.mark.parametrize("style", STYLES)
async def test_n6_a_refresh_token_makes_no_jwt(world: World, style: str) -> None:
    """N6: at every server, a refresh token in the place of the access token is refused."""
    async with httpx2.AsyncClient(transport=world.idp, base_url=ISSUER) as http:
        await world.opaque_token(style)
        secrets = (await http.get("/_control/secrets")).json()["values"]
    [refresh] = [value for value in secrets if value.startswith("_1XR_")]
    for way in ("phantom", "mint", "mint, signed", "mint, encrypted"):
        assert isinstance(await world.decide(world.config(way), refresh), Deny)
