"""Way `exchange`: what is asked for, which answers become the token upstream, and which never do."""

import base64
import json
from dataclasses import replace
from urllib.parse import quote_plus

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxy_world.asking import SHOP, UNHURRIED, ask
from proxy_world.authorization_server import JWKS, SECRET, TOKEN, Server, token, unsigned
from proxy_world.fakes import NOW, FakeOpener, FakeReport

from extauthz.authorizer import App, Authorizer, Pending
from extauthz.cache import Cache
from extauthz.decision import Allow, Credential, Decision
from extauthz.memory import Memory, cache_key
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.outcome import Outcome, Refused, UpstreamToken
from extauthz.policy import Rule
from extauthz.reason import Reason
from extauthz.upstream.exchange import MAX_SECONDS, UNTOLD_SECONDS

pytestmark = pytest.mark.anyio

TYPE = "urn:ietf:params:oauth:token-type:"
ALWAYS = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token": "opaque",
    "subject_token_type": f"{TYPE}access_token",
    "requested_token_type": f"{TYPE}access_token",
}
OPAQUE = {"access_token": "0paque~/+=", "expires_in": 60}


# --- what is asked


@pytest.mark.parametrize(
    ("rule", "wishes"),
    [
        pytest.param(Rule(), {}, id="nothing in particular"),
        pytest.param(Rule(audience="api"), {"audience": "api"}, id="an audience"),
        pytest.param(Rule(resource="urn:x:y"), {"resource": "urn:x:y"}, id="a resource"),
        pytest.param(Rule(scopes=frozenset({"b", "a"})), {"scope": "a b"}, id="scopes, in order"),
        pytest.param(
            Rule(audience="a&b=c", resource="https://api.example/?x=1", scopes=frozenset({"a"})),
            {"audience": "a&b=c", "resource": "https://api.example/?x=1", "scope": "a"},
            id="all of them, form-encoded",
        ),
    ],
)
async def test_what_the_rule_requires_is_asked_for(rule: Rule, wishes: dict[str, str]) -> None:
    """The form of RFC 8693 section 2.1 names the token, and what the rule says, and nothing it does not say."""
    server = Server()
    server.exchanges()
    await server.exchange()("opaque", rule)
    assert server.form(TOKEN) == ALWAYS | wishes


async def test_a_jwt_is_asked_for_where_configured() -> None:
    """The requested type is that of the configuration."""
    server = Server()
    server.exchanges({"issued_token_type": f"{TYPE}jwt"})
    assert isinstance(await server.exchange(token_type=f"{TYPE}jwt")("opaque", Rule()), UpstreamToken)
    assert server.form(TOKEN)["requested_token_type"] == f"{TYPE}jwt"


async def test_the_proxy_says_who_it_is() -> None:
    """The client authenticates as it does for introspection, and never by the form."""
    server = Server()
    server.exchanges()
    await server.exchange()("opaque", Rule())
    sent = server.asked_at(TOKEN)[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == f"the+proxy:{quote_plus(SECRET)}"


async def test_a_server_without_a_token_endpoint() -> None:
    """The metadata has to name where to ask."""
    server = Server()
    server.describe(token_endpoint=None)
    assert await _trouble(server) is Trouble.BAD_ANSWER


# --- what comes


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({}, id="a bearer token, and nothing else said"),
        pytest.param({"token_type": "bearer"}, id="the type in lower case"),
        pytest.param({"token_type": "BEARER", "expires_in": 3600}, id="with more life than the JWT"),
        pytest.param({"issued_token_type": f"{TYPE}jwt"}, id="called a JWT"),
        pytest.param({"refresh_token": "r", "scope": "x", "id_token": 7}, id="with members that are not for us"),
    ],
)
async def test_the_token_goes_upstream(members: dict[str, object]) -> None:
    """The token of the answer goes upstream, with its own expiry, scopes and audiences."""
    server = Server()
    server.exchanges(members)
    upstream = await server.exchange()("opaque", Rule())
    assert isinstance(upstream, UpstreamToken)
    assert (upstream.bearer, upstream.expires_at) == (server.answers[TOKEN].json()["access_token"], NOW + 300)  # type: ignore[union-attr]
    assert upstream.scopes == {"orders", "profile"}
    assert upstream.audiences == {"api"}
    assert upstream.claims["sub"] == "u"


@pytest.mark.parametrize(("expires_in", "left"), [(60, 60), (59.5, 59.5), (300, 300), (301, 300)])
async def test_the_shorter_life_counts(expires_in: float, left: float) -> None:
    """Whichever of `exp` and `expires_in` ends first."""
    server = Server()
    server.exchanges({"expires_in": expires_in})
    upstream = await server.exchange()("opaque", Rule())
    assert isinstance(upstream, UpstreamToken)
    assert upstream.expires_at == NOW + left


NOT_ISSUED = {
    "no token": {"access_token": None},
    "a token that is a number": {"access_token": 7},
    "an empty token": {"access_token": ""},
    "a token with a blank": {"access_token": "a b"},
    "a token with a second header": {"access_token": "a\r\nx-role: admin"},
    "two tokens": {"access_token": "a,b"},
    "a token of other letters": {"access_token": "ä"},
    "a token too long": {"access_token": "x" * 16_385},
    "no type of what was issued": {"issued_token_type": None},
    "an ID token": {"issued_token_type": f"{TYPE}id_token"},
    "a refresh token": {"issued_token_type": f"{TYPE}refresh_token"},
    "an assertion": {"issued_token_type": f"{TYPE}saml2"},
    "the types in a list": {"issued_token_type": [f"{TYPE}access_token"]},
    "the type's short name": {"issued_token_type": "access_token"},
    "no token type": {"token_type": None},
    "N_A": {"token_type": "N_A"},
    "a token bound by DPoP": {"token_type": "DPoP"},
    "a token type of another form": {"token_type": ["Bearer"]},
    "a life of text": {"expires_in": "300"},
    "a life that is true": {"expires_in": True},
    "a life before now": {"expires_in": -1},
    "a life without an end": {"expires_in": float("inf")},
    "a life that is no number": {"expires_in": float("nan")},
    "a life longer than ours": {"expires_in": MAX_SECONDS},
    "a life of four hundred digits": {"expires_in": 10**400},
    "scopes in a list": {"scope": ["orders"]},
}


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("members", NOT_ISSUED.values(), ids=NOT_ISSUED.keys())
async def test_what_is_no_token_for_the_api(members: dict[str, object], verify: bool) -> None:
    """An answer that is not what was asked for is the server's trouble, looked into or not."""
    server = Server()
    server.exchanges({**({} if verify else OPAQUE), **members})
    assert await _trouble(server, verify=verify) is Trouble.BAD_ANSWER


BAD_JWT = {
    "an opaque token": "0paque",
    "of another issuer": token({"iss": "https://evil.example"}),
    "bound to a key": token({"cnf": {"jkt": "x"}}),
    "an ID token after all": token({"nonce": "n"}),
    "an introspection answer": token(header={"typ": "token-introspection+jwt"}),
    "not valid yet": token({"nbf": NOW + 60}),
    "without expiry": token({"exp": None}),
    "of an unknown key": token(kid="k9"),
    "not signed": unsigned({"alg": "none"}, {"sub": "admin"}),
}


@pytest.mark.parametrize("jwt", BAD_JWT.values(), ids=BAD_JWT.keys())
async def test_a_jwt_that_fails_its_checks_is_not_forwarded(jwt: str) -> None:
    """The server vouched for it, so what is wrong with it is no fault of the user's."""
    server = Server()
    server.exchanges({"access_token": jwt})
    assert await _trouble(server) is Trouble.BAD_ANSWER


async def test_without_keys_nothing_goes_upstream() -> None:
    """While the keys cannot be had, a JWT cannot be verified, and that is the server's trouble."""
    server = Server()
    server.exchanges()
    server.answers[JWKS] = httpx2.Response(500)
    assert await _trouble(server) is Trouble.ERROR


@pytest.mark.parametrize(
    "members", [{"access_token": token({"exp": NOW})}, {"expires_in": 0}], ids=["by its claim", "by the answer"]
)
async def test_a_token_that_has_run_out_is_the_users_to_renew(members: dict[str, object]) -> None:
    """It is as old as the one it came from."""
    server = Server()
    server.exchanges(members)
    refused = await server.exchange()("opaque", Rule())
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.TOKEN_INACTIVE
    assert refused.detail


# --- without looking into it

ASKED = Rule(audience="api", scopes=frozenset({"orders"}))


@pytest.mark.parametrize(
    ("members", "rule", "life", "scopes"),
    [
        pytest.param({}, Rule(), 60, set(), id="nothing was asked for"),
        pytest.param({}, ASKED, 60, {"orders"}, id="what was asked for"),
        pytest.param({"scope": "orders x"}, ASKED, 60, {"orders", "x"}, id="more scope than asked for"),
        pytest.param({"scope": "x"}, ASKED, 60, {"x"}, id="another scope"),
        pytest.param({"scope": ""}, ASKED, 60, set(), id="no scope"),
        pytest.param({"expires_in": None}, ASKED, UNTOLD_SECONDS, {"orders"}, id="no life said"),
    ],
)
async def test_a_token_nobody_looks_into(members: dict[str, object], rule: Rule, life: float, scopes: set[str]) -> None:
    """It is taken for what was asked for, but the server's own word on scope and life counts; the keys do not."""
    server = Server()
    server.exchanges(OPAQUE | members)
    upstream = await server.exchange(verify=False)("opaque", rule)
    assert isinstance(upstream, UpstreamToken)
    assert (upstream.bearer, upstream.expires_at) == ("0paque~/+=", NOW + life)
    assert upstream.scopes == scopes
    assert upstream.audiences == {audience for audience in (rule.audience,) if audience}
    assert upstream.claims == {}
    assert server.asked_at(JWKS) == []


# --- errors


@pytest.mark.parametrize("error", ["invalid_request", "invalid_grant", "invalid_token"])
async def test_errors_about_the_token(error: str) -> None:
    """A token the server does not exchange is the user's to renew; the log says how the server put it."""
    server = Server()
    server.exchanges({"error": error, "error_description": "opaque, it says"}, status=400)
    refused = await server.exchange()("opaque", Rule())
    assert refused == Refused(Reason.TOKEN_INACTIVE, f"the token exchange was answered {error}")


@pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_target"])
async def test_errors_about_us(error: str) -> None:
    """What the server does not let us ask for is for the operator, who is told its word; no user is logged out."""
    server = Server()
    server.exchanges({"error": error, "error_description": "secret words"}, status=400)
    with pytest.raises(AuthorizationServerError) as failure:
        await server.exchange()("opaque", Rule())
    assert failure.value.trouble is Trouble.REFUSED_US
    assert str(failure.value) == f"the token exchange was answered {error}"


async def test_a_scope_the_user_does_not_have() -> None:
    """Refused as by every other way: 403 insufficient_scope, and no outage."""
    server = Server()
    server.exchanges({"error": "invalid_scope"}, status=400)
    refused = await server.exchange()("opaque", Rule(scopes=frozenset({"admin"})))
    assert refused == Refused(Reason.INSUFFICIENT_SCOPE, "the token exchange was answered invalid_scope")


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (401, Trouble.REFUSED_US),
        (403, Trouble.REFUSED_US),
        (404, Trouble.ERROR),
        (429, Trouble.ERROR),
        (500, Trouble.ERROR),
        (503, Trouble.ERROR),
        (201, Trouble.ERROR),
        (302, Trouble.ERROR),
    ],
)
async def test_other_statuses_are_never_the_users_fault(status: int, trouble: Trouble) -> None:
    """N4: whatever the body says, no other status than 400 speaks of the token."""
    server = Server()
    server.exchanges({"error": "invalid_grant"}, status=status)
    assert await _trouble(server) is trouble


@pytest.mark.parametrize(
    "error", ["<script>", "server_error", "Invalid_Grant", ["invalid_grant"], {"code": "invalid_grant"}, None], ids=str
)
async def test_an_error_of_no_meaning_to_us_is_not_repeated(error: object) -> None:
    """Words of others stay out of our log."""
    server = Server()
    server.exchanges({"error": error}, status=400)
    with pytest.raises(AuthorizationServerError) as failure:
        await server.exchange()("opaque", Rule())
    assert failure.value.trouble is Trouble.ERROR
    assert str(failure.value) == "the token exchange answered status 400"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("status", [200, 400])
async def test_an_answer_that_is_no_json(status: int, body: bytes) -> None:
    """It is the server's trouble, whatever its status."""
    server = Server()
    server.answers[TOKEN] = httpx2.Response(status, content=body)
    assert await _trouble(server) is Trouble.BAD_ANSWER


# --- answers are not mixed up

RULES = st.builds(
    Rule,
    audience=st.none() | st.text(min_size=1),
    resource=st.none() | st.sampled_from(["urn:a", "urn:b", "https://a.example/?audience=x&scope=y"]),
    scopes=st.frozensets(st.text("ab&=+%\0", min_size=1)),
)
VALUES = st.sampled_from(["sealed", "other", "sealed\0cookie"])


@UNHURRIED
@given(RULES, RULES, VALUES, VALUES)
def test_no_two_questions_share_an_answer(one: Rule, other: Rule, value: str, second: str) -> None:
    """The key of the cache is the same only for the same token and the same wishes."""
    exchange = Server().exchange()
    keys = [
        cache_key(_credential(rule, value), exchange.varies_by(rule)) for rule, value in ((one, value), (other, second))
    ]
    alike = (one.audience, one.resource, one.scopes, value) == (other.audience, other.resource, other.scopes, second)
    assert (keys[0] == keys[1]) is alike


async def test_each_route_has_a_token_of_its_own() -> None:
    """Two routes of one session: each audience is asked for once, and no API is given the token of the other."""
    server = Server()
    server.answers[TOKEN] = _as_asked
    routes = [{"audience": "one"}, {"audience": "two"}, {"audience": "one", "scope": "x"}]
    authorizer = _authorizer(server)
    for context in routes * 3:
        decision = await _settle(authorizer, context)
        assert isinstance(decision, Allow)
        [jwt] = [value.removeprefix("Bearer ") for name, value in decision.set_headers if name == "authorization"]
        _, claims = await server.key_set().verify(jwt)
        assert (claims["aud"], claims.get("scope", "")) == (context["audience"], context.get("scope", ""))
    assert len(server.asked_at(TOKEN)) == 3


async def test_an_audience_that_was_not_given_is_refused() -> None:
    """What is asked for is checked as well: the server may have given something else."""
    server = Server()
    server.exchanges()
    authorizer = _authorizer(server)
    refused = [await _settle(authorizer, {"audience": "bank"}), await _settle(authorizer, {"scope": "admin"})]
    assert [getattr(one, "reason", None) for one in refused] == [Reason.WRONG_AUDIENCE, Reason.INSUFFICIENT_SCOPE]
    assert isinstance(await _settle(authorizer, {"audience": "api", "scope": "orders"}), Allow)


def _as_asked(request: httpx2.Request) -> httpx2.Response:
    form = httpx2.QueryParams(request.content.decode())
    answer = {
        "access_token": token({"aud": form["audience"], "scope": form.get("scope")}),
        "issued_token_type": form["requested_token_type"],
        "token_type": "Bearer",
    }
    return httpx2.Response(200, stream=httpx2.ByteStream(json.dumps(answer).encode()))


def _authorizer(server: Server) -> Authorizer:
    policy = replace(SHOP, rule=Rule(way="exchange"), ways=frozenset({"exchange"}))
    cache: Cache[Outcome] = Cache(max_entries=10, max_bytes=100_000, clock=server.clock)
    app = App(policy=policy, opener=FakeOpener(), ways={"exchange": server.exchange()}, max_seconds=60.0)
    return Authorizer([app], Memory(cache, cache), FakeReport(), server.clock)


async def _settle(authorizer: Authorizer, context: dict[str, str]) -> Decision:
    found = authorizer.decide(ask(context=context))
    return await authorizer.complete(found) if isinstance(found, Pending) else found


def _credential(rule: Rule, value: str) -> Credential:
    return Credential(request=ask(), policy=SHOP, rule=rule, value=value)


async def _trouble(server: Server, *, verify: bool = True) -> Trouble:
    with pytest.raises(AuthorizationServerError) as failure:
        await server.exchange(verify=verify)("opaque-subject", Rule())
    assert "opaque-subject" not in str(failure.value)
    return failure.value.trouble
