"""Way `phantom`: which answers of introspection become the token upstream, and which never do."""

import json
import math

import httpx2
import pytest
from proxy_world.authorization_server import INTROSPECT, JWKS, Server, token, unsigned
from proxy_world.fakes import NOW

from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.outcome import Refused, UpstreamToken
from extauthz.policy import Rule
from extauthz.reason import Reason

pytestmark = pytest.mark.anyio

JWT = token()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(JWT, "application/jwt", id="the bare JWT"),
        pytest.param(f"\r\n{JWT}\n", "application/jwt", id="with a newline after it"),
        pytest.param(JWT, "Application/JWT; charset=utf-8", id="with a parameter in the content type"),
        pytest.param(json.dumps({"active": True, "jwt": JWT}), "application/json", id="JSON with jwt, as Keycloak"),
        pytest.param(json.dumps({"active": True, "phantom_token": JWT}), "application/json", id="with phantom_token"),
    ],
)
async def test_the_jwt_goes_upstream(body: str, content_type: str) -> None:
    """Each documented form of answer gives the JWT as it is, with its expiry and scopes."""
    server = Server()
    server.introspects(body, content_type=content_type)
    upstream = await server.phantom()("opaque", Rule())
    assert isinstance(upstream, UpstreamToken)
    assert (upstream.bearer, upstream.expires_at) == (JWT, NOW + 300)
    assert upstream.scopes == {"orders", "profile"}
    assert upstream.audiences == {"api"}
    assert upstream.claims["sub"] == "u"


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        pytest.param(204, "", "", id="204"),
        pytest.param(200, '{"active":false}', "application/json", id="active false"),
        pytest.param(200, json.dumps({"active": False, "jwt": JWT}), "application/json", id="active false with a JWT"),
        pytest.param(200, token({"exp": NOW}), "application/jwt", id="a JWT that runs out now"),
        pytest.param(200, token({"exp": -1}), "application/jwt", id="a JWT that ran out before 1970"),
    ],
)
async def test_inactive(status: int, body: str, content_type: str) -> None:
    """A token the server calls inactive, or whose JWT has run out, is the user's to renew."""
    server = Server()
    server.introspects(body, status=status, content_type=content_type)
    refused = await server.phantom()("opaque", Rule())
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.TOKEN_INACTIVE
    assert bool(refused.detail) is body.startswith("ey")  # where the server says otherwise, the log says why


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"jwt": JWT}, id="active is missing"),
        pytest.param({"active": "true", "jwt": JWT}, id="active is a string"),
        pytest.param({"active": "false"}, id="active is the string false"),
        pytest.param({"active": 1, "jwt": JWT}, id="active is one"),
        pytest.param({"active": 0}, id="active is zero"),
        pytest.param({"active": None, "jwt": JWT}, id="active is null"),
        pytest.param({"active": True}, id="no JWT, as plain RFC 7662"),
        pytest.param({"active": True, "jwt": None}, id="a JWT that is null"),
        pytest.param({"active": True, "jwt": [JWT]}, id="a JWT in an array"),
        pytest.param({"active": True, "jwt": ""}, id="an empty JWT"),
        pytest.param({"active": True, "jwt": "opaque"}, id="an opaque token for the JWT"),
        pytest.param({"active": True, "jwt": JWT + "\n"}, id="a newline after the JWT"),
        pytest.param({"active": True, "jwt": JWT + ",x"}, id="a comma after the JWT"),
        pytest.param({"active": True, "jwt": "a.b"}, id="a JWT of two parts"),
        pytest.param({"active": True, "jwt": JWT + ".x.y"}, id="an encrypted JWT"),
    ],
)
async def test_json_that_is_no_answer(members: dict[str, object]) -> None:
    """JSON that does not say `active` as a boolean, or brings no JWT with it, is a bad answer."""
    server = Server()
    server.introspects(json.dumps(members), content_type="application/json")
    assert await _trouble(server) is Trouble.BAD_ANSWER


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(JWT + "\r\nx-role: admin", id="a second header"),
        pytest.param(JWT.replace(".", ". ", 1), id="a blank inside"),
        pytest.param(f"{JWT},{JWT}", id="two JWTs"),
        pytest.param(f"Bearer {JWT}", id="a scheme before it"),
        pytest.param(JWT + "=", id="padding"),
        pytest.param("é" + JWT[1:], id="a letter that is not ASCII"),
        pytest.param(JWT.rpartition(".")[0] + ".", id="no signature"),
    ],
)
async def test_a_jwt_that_could_mean_something_else(body: str) -> None:
    """What could not stand in a header as one JWT is a bad answer."""
    server = Server()
    server.introspects(body)
    assert await _trouble(server) is Trouble.BAD_ANSWER


@pytest.mark.parametrize(
    "content_type", ["application/token-introspection+jwt", "text/plain", "application/at+jwt", ""]
)
async def test_other_content_types(content_type: str) -> None:
    """A JWT that is not declared as the phantom token, a signed introspection response above all, is not forwarded."""
    server = Server()
    server.introspects(JWT, content_type=content_type)
    assert await _trouble(server) is Trouble.BAD_ANSWER


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"iss": "https://evil.example"}, id="another issuer"),
        pytest.param({"iss": None}, id="no issuer"),
        pytest.param({"iss": ["https://as.example"]}, id="the issuer in an array"),
        pytest.param({"cnf": {"jkt": "x"}}, id="bound to a DPoP key"),
        pytest.param({"cnf": {"x5t#S256": "x"}}, id="bound to a certificate"),
        pytest.param({"cnf": {}}, id="bound to nothing known"),
        pytest.param({"nbf": NOW + 6}, id="not valid yet"),
        pytest.param({"nbf": "1"}, id="nbf as a string"),
        pytest.param({"exp": None}, id="no expiry"),
        pytest.param({"exp": str(NOW + 300)}, id="exp as a string"),
        pytest.param({"exp": True}, id="exp as a boolean"),
        pytest.param({"exp": [NOW]}, id="exp in an array"),
        pytest.param({"exp": 2**53}, id="exp beyond what a float can hold"),
        pytest.param({"exp": 10**400}, id="exp of four hundred digits"),
        pytest.param({"exp": float("inf")}, id="exp infinite"),
        pytest.param({"exp": float("nan")}, id="exp not a number"),
    ],
)
async def test_claims_that_do_not_serve(claims: dict[str, object]) -> None:
    """A JWT that introspection vouched for and that fails a check is the server's trouble, not the user's."""
    server = Server()
    server.introspects(token(claims))
    assert await _trouble(server) is Trouble.BAD_ANSWER


@pytest.mark.parametrize("typ", ["id_token+jwt", "token-introspection+jwt", "logout+jwt", "dpop+jwt", "JWE"])
async def test_types_that_are_no_access_token(typ: str) -> None:
    """A JWT made for another purpose does not pass for an access token."""
    server = Server()
    server.introspects(token(header={"typ": typ}))
    assert await _trouble(server) is Trouble.BAD_ANSWER


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "AT+JWT", "application/at+jwt"])
async def test_types_of_access_tokens(typ: str) -> None:
    """The types of RFC 9068, and the plain one, in any case of letters, serve."""
    server = Server()
    server.introspects(token(header={"typ": typ}))
    assert isinstance(await server.phantom()("opaque", Rule()), UpstreamToken)


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"nbf": NOW + 4}, id="a clock four seconds ahead"),
        pytest.param({"exp": NOW + 0.5}, id="exp with a fraction"),
    ],
)
async def test_claims_that_serve(claims: dict[str, object]) -> None:
    """What RFC 7519 permits is not refused."""
    server = Server()
    server.introspects(token(claims))
    assert isinstance(await server.phantom()("opaque", Rule()), UpstreamToken)


@pytest.mark.parametrize(
    ("aud", "audiences"),
    [
        ("api", {"api"}),
        (["other", "api"], {"other", "api"}),
        (["other", 7], {"other"}),
        (None, set()),
        ({"api": 1}, set()),
        (7, set()),
    ],
)
async def test_audiences(aud: object, audiences: set[str]) -> None:
    """The audiences are the claim, or the texts in it; a claim of another form names nobody."""
    server = Server()
    server.introspects(token({"aud": aud}))
    upstream = await server.phantom()("opaque", Rule())
    assert isinstance(upstream, UpstreamToken)
    assert upstream.audiences == audiences


@pytest.mark.parametrize(
    ("scope", "scopes"), [(None, set()), ("", set()), ("a  b", {"a", "b"}), (["a"], set()), (7, set())]
)
async def test_scopes(scope: object, scopes: set[str]) -> None:
    """Scopes are the words of the claim; a claim of another form grants nothing."""
    server = Server()
    server.introspects(token({"scope": scope}))
    upstream = await server.phantom()("opaque", Rule())
    assert isinstance(upstream, UpstreamToken)
    assert upstream.scopes == scopes


async def test_a_forged_jwt_is_not_forwarded() -> None:
    """Introspection over a broken channel cannot invent a user: the signature is checked."""
    server = Server()
    server.introspects(unsigned({"alg": "none"}, {"sub": "admin"}))
    assert await _trouble(server) is Trouble.BAD_ANSWER


async def test_without_keys_nothing_goes_upstream() -> None:
    """While the keys cannot be had, a JWT cannot be verified, and that is the server's trouble."""
    server = Server()
    server.introspects(JWT)
    server.answers[JWKS] = httpx2.Response(500)
    assert await _trouble(server) is Trouble.ERROR
    assert len(server.asked_at(INTROSPECT)) == 1


async def _trouble(server: Server) -> Trouble:
    with pytest.raises(AuthorizationServerError) as failure:
        await server.phantom()("opaque", Rule())
    assert JWT not in str(failure.value)
    return failure.value.trouble


@pytest.mark.parametrize(
    ("cache_control", "max_age"),
    [
        ("max-age=30", 30),
        ("private, Max-Age=30, must-revalidate", 30),
        ("max-age=0", 0),
        ("no-store", math.inf),
        ("s-maxage=30", math.inf),
        ("max-age=x", math.inf),
        ("", math.inf),
    ],
)
async def test_the_servers_max_age_is_known(cache_control: str, max_age: float) -> None:
    """With a bare JWT the server says how long it may be kept; its no-store is meant for HTTP caches."""
    server = Server()
    headers = {"content-type": "application/jwt", "cache-control": cache_control}
    server.answers[INTROSPECT] = httpx2.Response(200, content=token().encode(), headers=headers)
    upstream = await server.phantom()("opaque", Rule())
    assert isinstance(upstream, UpstreamToken)
    assert upstream.max_age == max_age
