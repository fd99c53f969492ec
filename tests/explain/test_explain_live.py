"""`--live`: the authorization server is asked as the proxy asks it, and what it says is told without its secrets."""

from pathlib import Path

import httpx2
import pytest
from click.testing import Result
from explain.world import COOKIE, OPAQUE, URL, Bench, facts, states, verdict
from proxy_world.authorization_server import DISCOVERY, INTROSPECT, JWKS, TOKEN, token

from extauthz.reason import Reason

LIVE = ("--live",)
JWT_WAY: dict[str, object] = {"apps.shop.upstream": {"way": "jwt", "required_scopes": ["orders"]}}


def test_a_good_request(tmp_path: Path) -> None:
    """Asked for, a good request is told to its end: what the token says, and which headers go upstream."""
    bench = Bench(tmp_path, {"apps.shop.identity_headers": {"x-user": "sub"}})
    result = bench.curl(options=LIVE)
    assert (result.exit_code, verdict(result)) == (0, "200 allow")
    assert set(states(result).values()) == {"ok"}
    assert facts(result, "upstream token") == "phantom, by introspection of https://as.example, in 0.00 s: answered"
    assert facts(result, "token") == (
        "expires 1970-01-12 13:51:40 UTC, in 300 s; scopes orders, profile (required: orders); "
        "audience api (required: api); issuer https://as.example"
    )
    assert facts(result, "upstream headers") == (
        "sets authorization, cookie, x-user; removes token-handler-version, x_user"
    )
    assert bench.server.form()["token"] == OPAQUE
    assert bench.transport.closed == 1


def answer(status: int, text: str = "", content_type: str = "application/json") -> httpx2.Response:
    """An answer to introspection."""
    return httpx2.Response(status, content=text.encode(), headers={"content-type": content_type})


TROUBLE = {
    "nobody there": (INTROSPECT, httpx2.ConnectError("no"), Reason.AS_UNREACHABLE, "/introspect cannot be reached"),
    "too slow": (INTROSPECT, httpx2.ReadTimeout("no"), Reason.AS_TIMEOUT, "/introspect did not answer in time"),
    "down": (INTROSPECT, answer(500), Reason.AS_ERROR, "introspection answered status 500"),
    "strangers to it": (
        INTROSPECT,
        answer(401),
        Reason.AS_REFUSED_US,
        "refused our client credentials with status 401",
    ),
    "nonsense": (INTROSPECT, answer(200, "{"), Reason.AS_BAD_ANSWER, "the answer is not JSON"),
    "no JWT": (INTROSPECT, answer(200, '{"active":true}'), Reason.AS_BAD_ANSWER, "answered without one"),
    "a JWT of another": (
        INTROSPECT,
        answer(200, token({"iss": "https://other.example"}), "application/jwt"),
        Reason.AS_BAD_ANSWER,
        "the phantom token: its issuer is not the configured one",
    ),
    "no metadata": (DISCOVERY, answer(404), Reason.AS_ERROR, "/.well-known/openid-configuration answered status 404"),
    "no keys": (JWKS, httpx2.ConnectError("no"), Reason.AS_UNREACHABLE, "/jwks cannot be reached: ConnectError"),
    "inactive": (INTROSPECT, answer(200, '{"active":false}'), Reason.TOKEN_INACTIVE, "answered"),
    "a fault of ours": (INTROSPECT, ZeroDivisionError("no"), Reason.INTERNAL_ERROR, "ZeroDivisionError"),
}


@pytest.mark.parametrize(("path", "given", "reason", "seen"), TROUBLE.values(), ids=TROUBLE.keys())
def test_trouble(tmp_path: Path, path: str, given: httpx2.Response | Exception, reason: Reason, seen: str) -> None:
    """Trouble with the authorization server is told in our own words, and the client is closed."""
    bench = Bench(tmp_path)
    bench.server.answers[path] = given
    result = bench.curl(options=LIVE)
    assert (result.exit_code, verdict(result).split()[1]) == (1, reason)
    assert states(result)["upstream token"] == "REFUSED"
    assert states(result)["token"] == "-"
    assert seen in facts(result, "upstream token")
    assert bench.transport.closed == 1


EXCHANGE: dict[str, object] = {
    "apps.shop.upstream": {"way": "exchange", "required_scopes": ["orders"], "audience": "api", "resource": "urn:x:y"}
}


def test_an_exchange(tmp_path: Path) -> None:
    """The way exchange is told with what is asked for, whom, and what came of it."""
    bench = Bench(tmp_path, EXCHANGE)
    bench.server.exchanges()
    result = bench.curl(options=LIVE)
    assert (result.exit_code, verdict(result)) == (0, "200 allow")
    assert facts(result, "route").endswith("upstream exchange, scopes orders, audience api, resource urn:x:y")
    seen = "exchange, by the token endpoint of https://as.example, in 0.00 s: answered"
    assert facts(result, "upstream token") == seen
    assert facts(result, "token").endswith("issuer https://as.example")


def test_an_exchange_nobody_looks_into(tmp_path: Path) -> None:
    """Of a token that is not verified the explanation does not say more than is known."""
    bench = Bench(
        tmp_path, {**EXCHANGE, "apps.shop.upstream.exchange": {"verify": False, "requested_token_type": "jwt"}}
    )
    bench.server.exchanges({"access_token": "0paque-of-the-api", "expires_in": 60})
    result = bench.curl(options=LIVE)
    assert verdict(result) == "200 allow"
    assert facts(result, "token").endswith("audience api (required: api); not looked into, but asked for")
    assert "0paque" not in result.output
    assert bench.server.form(TOKEN)["requested_token_type"].endswith(":jwt")


@pytest.mark.parametrize(
    ("error", "reason"), [("invalid_grant", Reason.TOKEN_INACTIVE), ("invalid_target", Reason.AS_REFUSED_US)]
)
def test_an_exchange_that_is_refused(tmp_path: Path, error: str, reason: Reason) -> None:
    """The server's word is told, and whose fault it was is the verdict."""
    bench = Bench(tmp_path, EXCHANGE)
    bench.server.exchanges({"error": error}, status=400)
    result = bench.curl(options=LIVE)
    assert verdict(result).split()[1] == reason
    assert f"the token exchange was answered {error}" in facts(result, "upstream token")
    assert bench.server.form(TOKEN)["subject_token"] == OPAQUE


UNFIT = {
    "expired": ({"exp": 999_999}, Reason.TOKEN_INACTIVE, "upstream token", "answered"),
    "without the scope": (
        {"scope": "profile"},
        Reason.INSUFFICIENT_SCOPE,
        "token",
        "scopes profile (required: orders)",
    ),
    "for another API": ({"aud": "bank"}, Reason.WRONG_AUDIENCE, "token", "audience bank (required: api)"),
}


@pytest.mark.parametrize(("claims", "reason", "stage", "seen"), UNFIT.values(), ids=UNFIT.keys())
def test_a_token_that_does_not_serve(
    tmp_path: Path, claims: dict[str, object], reason: Reason, stage: str, seen: str
) -> None:
    """What the token says stands beside what the rule requires."""
    bench = Bench(tmp_path)
    bench.server.introspects(token(claims))
    result = bench.curl(options=LIVE)
    assert (result.exit_code, verdict(result).split()[1], states(result)[stage]) == (1, reason, "REFUSED")
    assert seen in facts(result, stage)


def jwt_in_cookie(folder: Path, claims: dict[str, object]) -> Result:
    """A request whose cookie holds a JWT that is verified here."""
    bench = Bench(folder, JWT_WAY)
    value = bench.sealed(f'{{"at":"{token(claims)}","iat":1,"sid":"s"}}'.encode())
    return bench.curl(cookie=value, options=LIVE)


def test_a_jwt_in_the_cookie(tmp_path: Path) -> None:
    """The way jwt asks for keys only."""
    result = jwt_in_cookie(tmp_path, {})
    assert verdict(result) == "200 allow"
    assert facts(result, "upstream token") == "jwt, by the keys of https://as.example, in 0.00 s: answered"


def test_the_detail_of_a_refusal(tmp_path: Path) -> None:
    """Which check a JWT failed is told."""
    result = jwt_in_cookie(tmp_path, {"nonce": "n"})
    assert (states(result)["upstream token"], states(result)["token"]) == ("ok", "REFUSED")
    assert "token_invalid it is an ID token" in facts(result, "token")


def test_a_jwt_that_has_run_out(tmp_path: Path) -> None:
    """A JWT that ran out ends at the token, after the keys were had."""
    result = jwt_in_cookie(tmp_path, {"exp": 999_999})
    assert (verdict(result), states(result)["token"]) == ("401 token_expired", "REFUSED")


def test_a_dry_run(tmp_path: Path) -> None:
    """In a dry run the trouble is told all the same, and that the request passes."""
    bench = Bench(tmp_path, {"apps.shop.dry_run": True})
    bench.server.answers[INTROSPECT] = answer(500)
    result = bench.curl(options=LIVE)
    assert result.exit_code == 0
    assert "introspection answered status 500" in facts(result, "upstream token")
    assert verdict(result) == "200 dry_run: passes without credentials; otherwise 503 as_error"


def test_every_app_has_its_client_closed(tmp_path: Path) -> None:
    """Nothing stays open, whatever the request."""
    bench = Bench(tmp_path)
    bench.explain("--live", "curl", URL, "-b", f"{COOKIE}=x")
    assert (bench.transport.closed, bench.server.asked) == (1, [])


def test_nobody_is_asked_without_being_told_to(tmp_path: Path) -> None:
    """Without --live not one request leaves."""
    bench = Bench(tmp_path)
    bench.curl()
    assert bench.server.asked == []
