"""Way `mint` (P5): what the JWT says that we sign, for how long, and how its keys are changed without a failure."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxy_world.asking import SHOP, UNHURRIED, ask
from proxy_world.authorization_server import ISSUER, Server, token
from proxy_world.fakes import NOW, Clock, FakeOpener, FakeReport

from extauthz.authorizer import SKEW_SECONDS, App, Authorizer, Pending
from extauthz.cache import Cache
from extauthz.decision import Allow, Deny
from extauthz.memory import Memory
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.oauth.key_ring import key_set, new_key
from extauthz.oauth.signing_key import SigningKey, read_signing_key
from extauthz.outcome import Outcome, Refused, UpstreamToken
from extauthz.policy import Rule
from extauthz.reason import Reason
from extauthz.upstream.claims import REQUIRED, judge
from extauthz.upstream.clients import OfClients
from extauthz.upstream.mint import Mint

pytestmark = pytest.mark.anyio

OURS = "https://tokens.shop.example"
KEYS = {kind: read_signing_key(new_key(kind)) for kind in ("ES256", "EdDSA", "RS256")}
GOOD: dict[str, Any] = {
    "active": True,
    "token_type": "Bearer",
    "iss": ISSUER,
    "sub": "ada",
    "client_id": "shop",
    "scope": "orders profile",
    "exp": NOW + 3600,
    "email": "ada@example.com",
    "roles": ["admin", "buyer"],
}


def server_with(**members: object) -> Server:
    """A server that answers plain JSON with these members changed; None drops one."""
    server = Server()
    told = {name: value for name, value in {**GOOD, **members}.items() if value is not None}
    server.introspects(json.dumps(told), content_type="application/json")
    return server


def mint(server: Server, key: SigningKey = KEYS["ES256"], **changes: Any) -> Mint:
    """The way against `server`."""
    usual: dict[str, Any] = {"issuer": OURS, "audience": "api", "claims": [], "lifetime": 300}
    return Mint(introspected=server.introspected(), key=key, clock=server.clock, **{**usual, **changes})


async def minted(rule: Rule | None = None, members: dict[str, object] | None = None, **changes: Any) -> dict[str, Any]:
    """The claims of the JWT that is made of an answer."""
    found = await mint(server_with(**(members or {})), **changes)("0paque", rule or Rule())
    assert isinstance(found, UpstreamToken), found
    return claims_of(found.bearer)


def claims_of(
    bearer: str, keys: Sequence[SigningKey] = (KEYS["ES256"],), audience: str | None = None
) -> dict[str, Any]:
    """What an API makes of it that knows our key set, and nothing else."""
    published = jwt.PyJWKSet.from_dict(json.loads(key_set(keys)))
    key = published[jwt.get_unverified_header(bearer)["kid"]]
    options: jwt.types.Options = {"verify_exp": False, "verify_iat": False, "verify_aud": audience is not None}
    return jwt.decode(bearer, key, ["ES256", "EdDSA", "RS256"], issuer=OURS, audience=audience, options=options)


@pytest.mark.parametrize("kind", KEYS)
async def test_p5_an_access_token_by_rfc_9068(kind: str) -> None:
    """P5: ours is the issuer, every claim of the profile is there, and the API's own checks pass."""
    found = await mint(server_with(), KEYS[kind])("0paque", Rule())
    assert isinstance(found, UpstreamToken)
    header, claims = jwt.get_unverified_header(found.bearer), claims_of(found.bearer, [KEYS[kind]], "api")
    assert header == {"alg": kind, "kid": KEYS[kind].thumbprint(), "typ": "at+jwt"}
    assert {name: claims[name] for name in ("iss", "sub", "client_id", "aud", "scope")} == {
        "iss": OURS,
        "sub": "ada",
        "client_id": "shop",
        "aud": "api",
        "scope": "orders profile",
    }
    assert set(REQUIRED) <= claims.keys()
    assert judge(found.bearer, header, claims, issuer=OURS, now=NOW, profile=True).expires_at == found.expires_at
    assert found.scopes == {"orders", "profile"}
    assert found.audiences == {"api"}


async def test_p5_the_issuer_is_never_the_servers() -> None:
    """P5: whatever introspection says, nothing of the server's stands in a claim that is ours to set."""
    hostile = {"jti": "theirs", "iat": 1, "nbf": 1, "aud": ["api", "other"]}
    claims = await minted(members=hostile, claims=["email"])
    assert (claims["iss"], claims["aud"]) == (OURS, "api")
    assert claims["jti"] != "theirs"
    assert claims["iat"] > 1
    assert "nbf" not in claims


async def test_p5_each_has_an_id_of_its_own() -> None:
    """P5: two tokens for one session are two tokens."""
    way = mint(server_with())
    both = [await way("0paque", Rule()) for _ in range(2)]
    ids = {claims_of(one.bearer)["jti"] for one in both if isinstance(one, UpstreamToken)}
    assert len(ids) == 2


async def test_p5_only_listed_claims_are_repeated() -> None:
    """N7, P5: what introspection says besides goes into the JWT by the allow-list, and is at hand for headers."""
    assert {"email", "roles", "active", "token_type"}.isdisjoint(await minted())
    listed = await minted(claims=["roles", "absent"])
    assert listed["roles"] == ["admin", "buyer"]
    assert {"email", "absent"}.isdisjoint(listed)
    found = await mint(server_with())("0paque", Rule())
    assert isinstance(found, UpstreamToken)
    assert (found.claims["email"], found.claims["iss"]) == ("ada@example.com", OURS)


EXPIRIES = {
    "the token runs out first": (NOW + 100, NOW + 100),
    "the lifetime ends first": (NOW + 10_000, NOW + 300),
    "the server does not say": (None, NOW + 300),
    "a fraction is cut off": (NOW + 100.9, NOW + 100),
}


@pytest.mark.parametrize(("theirs", "ours"), EXPIRIES.values(), ids=EXPIRIES)
async def test_p5_it_never_outlives_the_token(theirs: float | None, ours: float) -> None:
    """P5: exp is the token's own or the end of the lifetime, whichever is first."""
    claims = await minted(members={"exp": theirs})
    assert claims["exp"] == ours
    assert claims["iat"] < NOW


async def test_a_token_about_to_run_out_is_not_worth_signing() -> None:
    """What the API would find expired on arrival is the user's to renew."""
    refused = await mint(server_with(exp=NOW + 0.9))("0paque", Rule())
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.TOKEN_INACTIVE


@UNHURRIED
@given(st.floats(1, 10_000), st.none() | st.floats(1, 10_000), st.floats(30, 3600), st.floats(0, 3600), st.floats(0, 1))
async def test_a_remembered_token_is_never_expired(
    after: float, left: float | None, lifetime: float, longest: float, fraction: float
) -> None:
    """Whatever the settings, the cache forgets a JWT while it is still good for the skew."""
    world = Remembering(lifetime=lifetime, longest=longest, exp=None if left is None else NOW + fraction + left)
    world.clock.now = NOW + fraction
    await world.decide()
    world.clock.now += after
    remembered = world.authorizer.decide(ask())
    if isinstance(remembered, Allow):
        bearer = dict(remembered.set_headers)["authorization"].removeprefix("Bearer ")
        assert claims_of(bearer)["exp"] >= world.clock.now + SKEW_SECONDS - 0.01


class Remembering:
    """An authorizer with the way mint."""

    def __init__(self, *, lifetime: float = 300, longest: float = 60, exp: float | None = None) -> None:
        self.server = server_with(exp=exp)
        self.clock: Clock = self.server.clock
        answers: Cache[Outcome] = Cache(max_entries=10, max_bytes=100_000, clock=self.clock)
        refusals: Cache[Outcome] = Cache(max_entries=10, max_bytes=100_000, clock=self.clock)
        way = mint(self.server, lifetime=lifetime)
        app = App(policy=SHOP, opener=FakeOpener(), ways={"phantom": way}, max_seconds=longest)
        self.authorizer = Authorizer([app], Memory(answers, refusals), FakeReport(), self.clock)

    async def decide(self, **context: str) -> Allow | Deny:
        """The decision for a session."""
        found = self.authorizer.decide(ask(context=context))
        decision = await self.authorizer.complete(found) if isinstance(found, Pending) else found
        assert isinstance(decision, Allow | Deny)
        return decision


async def test_audiences_are_remembered_apart() -> None:
    """Two routes with audiences of their own get a token each, and none gets the other's from the cache."""
    world = Remembering()
    for audience in ("orders", "billing", "", "orders"):
        decision = await world.decide(**({"audience": audience} if audience else {}))
        assert isinstance(decision, Allow)
        bearer = dict(decision.set_headers)["authorization"].removeprefix("Bearer ")
        assert claims_of(bearer)["aud"] == (audience or "api")
    assert len(world.server.asked_at("/introspect")) == 3


AUDIENCES = {
    "the server names nobody": (None, "orders", "orders"),
    "the server names this API": (["orders", "billing"], "orders", "orders"),
    "nothing is required, and the server names others": (["theirs"], None, "api"),
    "the server names another API": (["billing"], "orders", None),
    "the server names the one we fall back to": ("api", "orders", None),
}


@pytest.mark.parametrize(("theirs", "required", "aud"), AUDIENCES.values(), ids=AUDIENCES)
async def test_n5_a_token_for_one_api_does_not_become_one_for_another(
    theirs: object, required: str | None, aud: str | None
) -> None:
    """N5: a required audience has to be among those the server names; where it names none, ours is the word."""
    found = await mint(server_with(aud=theirs))("0paque", Rule(audience=required))
    if aud is None:
        assert isinstance(found, Refused)
        assert found.reason is Reason.WRONG_AUDIENCE
    else:
        assert isinstance(found, UpstreamToken)
        assert claims_of(found.bearer, audience=aud)["aud"] == aud


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "x" * 17_000])
async def test_claims_that_cannot_be_passed_on(value: object) -> None:
    """What would make a token that no API can read, or no gateway carry, is trouble at the server."""
    with pytest.raises(AuthorizationServerError) as raised:
        await minted(members={"roles": value}, claims=["roles"])
    assert raised.value.trouble is Trouble.BAD_ANSWER


async def test_what_is_refused_stays_refused() -> None:
    """An inactive token and a bound one make no JWT."""
    for members in ({"active": False}, {"cnf": {"jkt": "x"}}):
        assert isinstance(await mint(server_with(**members))("0paque", Rule()), Refused)


@pytest.mark.parametrize("content_type", ["application/token-introspection+jwt", "application/jwt"])
async def test_an_rfc_9701_answer_never_goes_upstream(content_type: str) -> None:
    """RFC 9701 section 8.1: under whatever name it comes, with or without its type, it is no access token."""
    for header in ({"typ": "token-introspection+jwt"}, {}, {"typ": "at+jwt"}):
        server = Server()
        claims = {"token_introspection": {"active": True, "sub": "u"}, "aud": "the proxy", "iat": NOW}
        server.introspects(token(claims, header=header), content_type=content_type)
        with pytest.raises(AuthorizationServerError) as raised:
            await server.phantom()("0paque", Rule())
        assert raised.value.trouble is Trouble.BAD_ANSWER
        assert "mint" in str(raised.value) or "type" in str(raised.value)


CLIENTS = {
    "one that is listed": ({"client_id": "shop"}, True),
    "another": ({"client_id": "crawler"}, False),
    "one by the older name": ({"client_id": None, "azp": "shop"}, True),
    "another by the older name beside it": ({"azp": "crawler"}, True),
}


@pytest.mark.parametrize(("members", "taken"), CLIENTS.values(), ids=CLIENTS)
async def test_n6_only_tokens_of_listed_clients(members: dict[str, object], taken: bool) -> None:
    """N6: where clients are listed, the tokens of others are refused, minted and phantom alike."""
    server = server_with(**members)
    found = await OfClients(mint(server), ["shop", "mobile"])("0paque", Rule())
    assert isinstance(found, UpstreamToken) is taken
    server.introspects(token({"client_id": "shop", **members}))
    found = await OfClients(server.phantom(), ["shop", "mobile"])("0paque", Rule())
    assert isinstance(found, UpstreamToken) is taken
    if isinstance(found, Refused):
        assert found.reason is Reason.TOKEN_INVALID


async def test_n6_a_list_varies_by_what_the_way_varies_by() -> None:
    """Answers for several audiences are remembered apart behind the list too."""
    assert OfClients(mint(server_with()), ["shop"]).varies_by(Rule(audience="orders")) == ("orders",)
    assert OfClients(Server().phantom(), ["shop"]).varies_by(Rule(audience="orders")) == ()


# Keys and their rotation


def test_the_key_set_holds_no_secret() -> None:
    """RFC 7517: each key once, by its RFC 7638 thumbprint, for signatures, and only the public members."""
    document = json.loads(key_set([*KEYS.values(), KEYS["ES256"]]))
    assert [key["kid"] for key in document["keys"]] == [key.thumbprint() for key in KEYS.values()]
    assert {key["use"] for key in document["keys"]} == {"sig"}
    assert all({"d", "p", "q", "dp", "dq", "qi", "k"}.isdisjoint(key) for key in document["keys"])


@pytest.mark.parametrize("show", [repr, str])
def test_keys_are_not_shown(show: Callable[[object], str]) -> None:
    """A private key has no representation."""
    assert "object at" not in show(KEYS["ES256"])
    assert "private" not in show(KEYS["ES256"])


def test_every_kind_of_key_can_be_made() -> None:
    """The keys `extauthz mint-keygen` makes are ones the proxy reads."""
    assert {kind: key.algorithm for kind, key in KEYS.items()} == {kind: kind for kind in KEYS}


async def test_rotation_no_token_fails_at_the_api() -> None:
    """Through the documented steps, a token of any replica verifies by any key set an API may hold at that moment.

    Replicas change one by one, and an API's key set may be as old as the step before.
    """
    old, new = KEYS["ES256"], read_signing_key(new_key("ES256"))
    steps = [[old], [old, new], [new, old], [new]]
    for before, after in pairwise(steps):
        published = [before, after]  # by replicas not yet changed, by those that are, and in the API's cache
        for signing in published:
            found = await mint(server_with(), signing[0])("0paque", Rule())
            assert isinstance(found, UpstreamToken)
            for keys in published:
                assert claims_of(found.bearer, keys)["sub"] == "ada", (signing, keys)


async def test_a_rotation_in_one_step_would_fail() -> None:
    """The steps are needed: a key that nobody has heard of yet must not sign."""
    found = await mint(server_with(), KEYS["EdDSA"])("0paque", Rule())
    assert isinstance(found, UpstreamToken)
    with pytest.raises(KeyError):
        claims_of(found.bearer, [KEYS["ES256"]])
