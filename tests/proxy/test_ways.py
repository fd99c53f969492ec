"""The ways besides introspection: a JWT verified here, and an opaque token passed on."""

import math

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from proxy_world.authorization_server import JWKS, Server, token, unsigned
from proxy_world.fakes import NOW

from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.outcome import Refused, UpstreamToken
from extauthz.policy import Rule
from extauthz.reason import Reason
from extauthz.upstream.jwt import VerifiedJwt
from extauthz.upstream.opaque import Opaque

pytestmark = pytest.mark.anyio

PROFILE = {"client_id": "mobile", "iat": NOW, "jti": "j-1"}
AT_JWT = {"typ": "at+jwt"}


def way(server: Server, *, profile: bool) -> VerifiedJwt:
    """The way against this server's keys."""
    return VerifiedJwt(keys=server.key_set(), issuer="https://as.example", clock=server.clock, profile=profile)


async def test_an_opaque_token_goes_as_it_is() -> None:
    """Nothing is asked, nothing is known, nothing is changed."""
    assert await Opaque()("0paque~/+=", Rule()) == UpstreamToken(bearer="0paque~/+=", expires_at=math.inf)  # type: ignore[arg-type]


@pytest.mark.parametrize("profile", [False, True])
@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
async def test_a_good_jwt_goes_as_it_is(profile: bool, typ: str) -> None:
    """A JWT access token that verifies is the upstream token, with what it says of itself."""
    good = token(PROFILE, header={"typ": typ})
    verified = await way(Server(), profile=profile)(good, Rule())
    assert isinstance(verified, UpstreamToken)
    assert (verified.bearer, verified.expires_at) == (good, NOW + 300)
    assert verified.audiences == {"api"}
    assert verified.scopes == {"orders", "profile"}


@pytest.mark.parametrize("typ", [None, "JWT"])
async def test_a_jwt_from_a_cookie_may_be_of_the_plain_type(typ: str | None) -> None:
    """The agent obtained it as an access token, so the older form serves; from a client it does not (RFC 9068 J1)."""
    older = token(header={} if typ is None else {"typ": typ})
    assert isinstance(await way(Server(), profile=False)(older, Rule()), UpstreamToken)
    refused = await way(Server(), profile=True)(older, Rule())
    assert isinstance(refused, Refused)


@pytest.mark.parametrize("claim", ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"])
async def test_a_clients_jwt_has_every_claim_of_the_profile(claim: str) -> None:
    """RFC 9068 section 2.2: each of them is required."""
    refused = await way(Server(), profile=True)(token({**PROFILE, claim: None}, header=AT_JWT), Rule())
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.TOKEN_INVALID


STRANGER = ec.generate_private_key(ec.SECP256R1())
BAD = {
    "signed with another key": token(PROFILE, key=STRANGER, header=AT_JWT),
    "of an unknown key": token(PROFILE, kid="k9", header=AT_JWT),
    "not signed": unsigned({"alg": "none", "typ": "at+jwt"}, {"iss": "https://as.example"}, b""),
    "signed with the public key as a secret": unsigned({"alg": "HS256", "kid": "k1", "typ": "at+jwt"}, {"sub": "u"}),
    "of another issuer": token({**PROFILE, "iss": "https://evil.example"}, header=AT_JWT),
    "an ID token": token({**PROFILE, "nonce": "n"}, header=AT_JWT),
    "an ID token by its hash": token({**PROFILE, "at_hash": "h"}, header=AT_JWT),
    "a logout token": token(PROFILE, header={"typ": "logout+jwt"}),
    "an introspection answer": token(PROFILE, header={"typ": "token-introspection+jwt"}),
    "bound to a DPoP key": token({**PROFILE, "cnf": {"jkt": "x"}}, header=AT_JWT),
    "bound to a certificate": token({**PROFILE, "cnf": {"x5t#S256": "x"}}, header=AT_JWT),
    "not valid yet": token({**PROFILE, "nbf": NOW + 60}, header=AT_JWT),
    "with a critical header": token(PROFILE, header={**AT_JWT, "crit": ["b64"], "b64": True}),
    "with exp as text": token({**PROFILE, "exp": "never"}, header=AT_JWT),
    "with exp infinite": token({**PROFILE, "exp": float("inf")}, header=AT_JWT),
    "with a key of its own": token(
        PROFILE, key=STRANGER, header={**AT_JWT, "jwk": {"kty": "EC"}, "jku": "https://evil.example/keys"}
    ),
    "of two parts": "a.b",
    "of five parts": "a.b.c.d.e",
    "an opaque token": "0paque",
    "padded": token(PROFILE, header=AT_JWT) + "=",
    "too long": token({**PROFILE, "x": "y" * 17_000}, header=AT_JWT),
}


@pytest.mark.parametrize("profile", [False, True])
@pytest.mark.parametrize("jwt", BAD.values(), ids=BAD.keys())
async def test_a_bad_jwt_is_the_clients_fault(jwt: str, profile: bool) -> None:
    """Whatever is wrong with it, it is refused with the same reason, and the log learns which check it was."""
    server = Server()
    refused = await way(server, profile=profile)(jwt, Rule())
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.TOKEN_INVALID
    assert refused.detail
    assert jwt not in refused.detail
    assert all(request.url.host == "as.example" for request in server.asked)


@pytest.mark.parametrize("exp", [NOW, NOW - 1, 0, -1])
async def test_an_expired_jwt_is_to_be_renewed(exp: float) -> None:
    """It was good, and is no longer."""
    assert await way(Server(), profile=True)(token({**PROFILE, "exp": exp}, header=AT_JWT), Rule()) == Refused(
        Reason.TOKEN_EXPIRED
    )


async def test_keys_that_cannot_be_had_are_the_servers_trouble() -> None:
    """A good token is not called bad because the issuer's keys are out of reach."""
    server = Server()
    server.answers[JWKS] = httpx2.ConnectError("no")
    with pytest.raises(AuthorizationServerError) as raised:
        await way(server, profile=True)(token(PROFILE, header=AT_JWT), Rule())
    assert raised.value.trouble is Trouble.UNREACHABLE


async def test_a_flood_of_unknown_keys_asks_once() -> None:
    """Made-up key ids do not become a flood at the authorization server."""
    server = Server()
    verify = way(server, profile=True)
    for number in range(100):
        await verify(token(PROFILE, key=STRANGER, kid=f"k-{number}", header=AT_JWT), Rule())
    assert len(server.asked_at(JWKS)) <= 2


@pytest.mark.parametrize(
    "claims",
    [{"typ": "ID"}, {"typ": "Refresh"}, {"typ": "Offline"}, {"typ": "Logout"}, {"token_use": "id"}, {"at_hash": "x"}],
    ids=str,
)
async def test_a_jwt_of_another_kind(claims: dict[str, object]) -> None:
    """An ID, logout or refresh token is told by its claims, where its header says nothing."""
    refused = await way(Server(), profile=False)(token(claims), Rule())
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.TOKEN_INVALID
