"""The mock provider verifies private_key_jwt as a strict server does."""

from collections.abc import AsyncIterator, Mapping

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from proxy_world.client_keys import KEYS, pem

from demo.idp import Client, IdpConfig, create_idp
from demo.idp.config import read_clients
from extauthz.oauth.signing_key import read_signing_key

pytestmark = pytest.mark.anyio

ISSUER, TYPE = "http://idp.test", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
NOW = 1_000_000
SECRET = "a secret of some length"
JWKS = {"keys": [read_signing_key(pem(key)).public_jwk(alg) for alg, key in KEYS.items()]}
CLAIMS: dict[str, object] = {
    "iss": "shop",
    "sub": "shop",
    "aud": ISSUER,
    "jti": "an-id",
    "iat": NOW,
    "exp": NOW + 60,
}


def signed(claims: Mapping[str, object | None] | None = None, alg: str = "ES256", **header: str | None) -> str:
    """An assertion; None drops a claim or a member of the header."""
    members = {name: value for name, value in {**CLAIMS, **(claims or {})}.items() if value is not None}
    return jwt.encode(members, KEYS[alg], alg, headers={"kid": alg, "typ": "client-authentication+jwt", **header})


@pytest.mark.parametrize("alg", KEYS)
@pytest.mark.parametrize("typ", ["client-authentication+jwt", "JWT", None])
async def test_a_good_assertion(http: httpx2.AsyncClient, alg: str, typ: str | None) -> None:
    """Every kind of key, with and without explicit typing."""
    assert await status(http, signed(alg=alg, typ=typ)) == 200


BAD: dict[str, str] = {
    "audience as a list": signed({"aud": [ISSUER]}),
    "audience of the token endpoint": signed({"aud": f"{ISSUER}/token"}),
    "audience with a slash": signed({"aud": f"{ISSUER}/"}),
    "no audience": signed({"aud": None}),
    "expired": signed({"exp": NOW}),
    "good for too long": signed({"exp": NOW + 301}),
    "no expiry": signed({"exp": None}),
    "no jti": signed({"jti": None}),
    "issued by another": signed({"iss": "other"}),
    "issued by nobody": signed({"iss": "nobody"}),
    "about another": signed({"sub": "other"}),
    "another kind of JWT": signed(typ="at+jwt"),
    "an unknown key": signed(kid="another"),
    "a key of another": jwt.encode(CLAIMS, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": "ES256"}),
    "not signed": jwt.encode(CLAIMS, "", "none", headers={"kid": "ES256"}),
    "no JWT": "an assertion",
}


@pytest.mark.parametrize("assertion", BAD.values(), ids=BAD)
async def test_a_bad_assertion(http: httpx2.AsyncClient, assertion: str) -> None:
    """Each of them is 401 invalid_client."""
    assert await status(http, assertion) == 401


async def test_an_assertion_counts_once(http: httpx2.AsyncClient) -> None:
    """A replay is refused, at another endpoint, too."""
    assertion = signed()
    assert await status(http, assertion) == 200
    assert await status(http, assertion) == 401
    assert await status(http, assertion, "/revoke") == 401
    assert await status(http, signed({"jti": "another"}), "/revoke") == 200


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, 401),
        ({"client_assertion_type": ""}, 401),
        ({"client_id": "other"}, 401),
        ({"client_id": ""}, 200),
        ({"client_secret": SECRET}, 400),
    ],
)
async def test_the_form_around_it(http: httpx2.AsyncClient, form: dict[str, str], expected: int) -> None:
    """Its type must be said, a client id must be the same, and there is one way at a time."""
    assert await status(http, signed(), **form) == expected


async def test_a_client_has_one_way(http: httpx2.AsyncClient) -> None:
    """Who is registered with keys has no secret, and the other way round."""
    form = {"token": "x", "client_id": "shop", "client_secret": SECRET}
    assert (await http.post("/introspect", data=form)).status_code == 401
    assert await status(http, signed({"iss": "other", "sub": "other"}), client_id="other") == 401


async def test_what_is_offered_is_told(http: httpx2.AsyncClient) -> None:
    """Discovery names methods and algorithms for every endpoint that clients call."""
    metadata = (await http.get("/.well-known/openid-configuration")).json()
    for endpoint in ("token", "introspection", "revocation"):
        assert "private_key_jwt" in metadata[f"{endpoint}_endpoint_auth_methods_supported"]
        assert set(KEYS) <= set(metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"])


async def test_a_clients_file_with_keys() -> None:
    """Keys stand in place of a secret, not beside it."""
    [client] = read_clients([{"client_id": "shop", "jwks": JWKS, "redirect_uris": [], "scope": "openid"}])
    assert (client.jwks, client.client_secret) == (JWKS, None)
    mistakes: list[dict[str, object]] = [{"jwks": {}}, {"jwks": [1]}, {"jwks": JWKS, "client_secret": SECRET}]
    for wrong in mistakes:
        with pytest.raises(ValueError, match="jwks"):
            read_clients([{"client_id": "shop", "redirect_uris": [], "scope": "openid", **wrong}])


async def status(http: httpx2.AsyncClient, assertion: str, path: str = "/introspect", **form: str) -> int:
    """The answer's status; a refusal is that of RFC 6749."""
    usual = {"token": "x", "client_id": "shop", "client_assertion_type": TYPE, "client_assertion": assertion}
    answer = await http.post(path, data={**usual, **form}, headers={"accept": "application/json"})
    if answer.status_code == 401:
        assert answer.json()["error"] == "invalid_client"
    return answer.status_code


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    """A fresh provider with one client of each kind."""
    clients = (
        Client(client_id="shop", jwks=JWKS, redirect_uris=()),
        Client(client_id="other", client_secret=SECRET, redirect_uris=()),
    )
    provider = create_idp(IdpConfig(issuer=ISSUER, clients=clients, clock=lambda: NOW))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=provider), base_url=ISSUER) as client:
        yield client
