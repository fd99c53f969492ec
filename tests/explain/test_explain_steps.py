"""Each way a request can go, told step by step: where it ends, for which reason, and what was to be seen."""

import asyncio
import time
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import Result
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from explain.world import COOKIE, GOOD, OPAQUE, SESSION, URL, Bench, facts, states, verdict

from extauthz.config import AppConfig
from extauthz.cookies.access_token import SealedAccessTokens
from extauthz.cookies.envelope import pack
from extauthz.cookies.marks import Kind, mark
from extauthz.explain.stage import STAGES, Stage
from extauthz.explain.witness import World
from extauthz.oauth.issuer import Issuer
from extauthz.reason import ADVICE, ANSWERS, Reason
from extauthz.revocations.file import RevocationFile
from extauthz.revocations.known import Revocation

NAMES = [stage.label for stage in Stage]


def ends_at(result: Result, stage: str, reason: Reason, status: int = 0) -> str:
    """Check that the request is refused at `stage`, those before passed and those behind not reached; its facts."""
    seen = states(result)
    before, behind = NAMES[: NAMES.index(stage)], NAMES[NAMES.index(stage) + 1 :]
    assert list(seen) == NAMES
    assert seen[stage] == "REFUSED"
    assert {seen[name] for name in before} <= {"ok"}
    assert {(seen[name], facts(result, name)) for name in behind} <= {("-", "not reached")}
    assert verdict(result) == f"{status or ANSWERS[reason].status} {reason}"
    assert result.exit_code == 1
    said = facts(result, stage)
    assert said.startswith(f"{reason} ")
    assert said.endswith(f"-> {ADVICE[reason]}")
    return said


def test_every_reason_has_its_stage() -> None:
    """No reason is without a step it belongs to."""
    assert set(STAGES) == set(Reason)


def test_a_good_request(tmp_path: Path) -> None:
    """Up to the authorization server all is told; then it is said how to ask that, with exit status 0."""
    result = Bench(tmp_path).curl()
    assert (result.exit_code, verdict(result)) == (0, "would ask the authorization server")
    assert list(states(result).values()) == ["ok"] * 9 + ["?", "-", "-"]
    told = {name: facts(result, name) for name in NAMES}
    assert told["request"].startswith("GET /orders on api.shop.example; ")
    assert told["app"] == "shop, by its host"
    assert told["route"] == ("the app's own: auth required, csrf header, upstream phantom, scopes orders, audience api")
    assert told["preflight"] == "no"
    assert told["authentication"] == "required"
    assert told["authorization"] == "none from the client"
    assert told["csrf"] == (
        "mode header; token-handler-version 1; Origin https://www.shop.example, trusted; Sec-Fetch-Site absent"
    )
    assert told["cookie"].startswith(f"{COOKIE}, ")
    assert told["cookie"].endswith(", known")
    assert f"a token of {len(OPAQUE)} characters, issued 1970-01-12 13:46:40 UTC, session 5e55..." in told["open"]
    assert told["upstream token"] == "not asked; add --live to ask https://as.example"
    assert told["token"] == "not reached"


def test_a_screenful(tmp_path: Path) -> None:
    """What is printed fits on a screen, in columns."""
    lines = Bench(tmp_path).curl().stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100


def test_an_encoded_query_stays_out(tmp_path: Path) -> None:
    """The query is not shown."""
    result = Bench(tmp_path).explain("--path", "/orders?secret=1#other", "--host", "api.shop.example")
    assert facts(result, "request") == "GET /orders on api.shop.example; no cookies"


REFUSED_EARLY = {
    "no method": (["-X", ""], "request", Reason.MALFORMED_REQUEST, "(no method) /orders on api.shop.example"),
    "two hosts": (["-H", "Host: a,b"], "request", Reason.MALFORMED_REQUEST, "on a,b"),
    "too many cookies": (["-H", "cookie: " + "a=b; " * 201], "request", Reason.MALFORMED_REQUEST, "1004 characters"),
    "another host": (["-H", "Host: other.example"], "app", Reason.UNKNOWN_APP, "there are shop (api.shop.example)"),
    "its own Authorization": (
        ["-H", "Authorization: Bearer abc"],
        "authorization",
        Reason.TWO_CREDENTIALS,
        f"one bearer token of 3 characters, beside the cookie {COOKIE}",
    ),
    "two origins": (
        ["-H", "Origin: https://evil.example"],
        "csrf",
        Reason.ORIGIN_UNTRUSTED,
        "Origin is none; trusted: https://www.shop.example",
    ),
    "cross-site": (["-H", "sec-fetch-site: cross-site"], "csrf", Reason.CROSS_SITE, "Sec-Fetch-Site cross-site"),
    "another cookie of the name": (
        ["-H", f"Cookie: {COOKIE}=a; {COOKIE}=b"],
        "cookie",
        Reason.AMBIGUOUS_COOKIE,
        f"{COOKIE} came with more than one value",
    ),
    "an empty cookie": (["-H", f"Cookie: {COOKIE}="], "cookie", Reason.NO_CREDENTIALS, f"{COOKIE} is empty"),
    "other cookies": (["-H", "Cookie: a=b; c=d"], "cookie", Reason.NO_CREDENTIALS, "is not among 2 cookies ->"),
    "a similar cookie": (
        ["-H", "Cookie: __Secure-shop-at=x"],
        "cookie",
        Reason.NO_CREDENTIALS,
        "not among 1 cookies; but __Secure-shop-at is: compare parent_domain and format",
    ),
}


@pytest.mark.parametrize(("words", "stage", "reason", "seen"), REFUSED_EARLY.values(), ids=REFUSED_EARLY.keys())
def test_refused_by_the_request_alone(tmp_path: Path, words: list[str], stage: str, reason: Reason, seen: str) -> None:
    """It ends where the documented order says, with what was seen there, and advice."""
    assert seen in ends_at(Bench(tmp_path).curl(*words), stage, reason)


BARE = {
    "no header": ((), Reason.CSRF_HEADER, "token-handler-version absent; Origin absent"),
    "another value": (("-H", "token-handler-version: 2"), Reason.CSRF_HEADER, "token-handler-version is not 1"),
    "no origin": (("-H", "token-handler-version: 1", "-d", "x"), Reason.ORIGIN_MISSING, "Origin absent"),
    "an origin": (
        ("-H", "token-handler-version: 1", "-H", "origin: https://evil.example"),
        Reason.ORIGIN_UNTRUSTED,
        "Origin https://evil.example; trusted: https://www.shop.example",
    ),
    "another word": (
        ("-H", "token-handler-version: 1", "-H", "sec-fetch-site: a,cross-site"),
        Reason.CROSS_SITE,
        "Sec-Fetch-Site is none of its words",
    ),
}


@pytest.mark.parametrize(("words", "reason", "seen"), BARE.values(), ids=BARE.keys())
def test_refused_as_a_forgery(tmp_path: Path, words: tuple[str, ...], reason: Reason, seen: str) -> None:
    """What the CSRF mode looks at is told, so that it can be seen what is missing."""
    assert seen in ends_at(Bench(tmp_path).explain("curl", URL, *words), "csrf", reason)


def test_a_cookie_that_is_none_of_ours(tmp_path: Path) -> None:
    """Of a value in no format of ours nothing is shown but its length."""
    said = ends_at(Bench(tmp_path).curl(cookie="A" * 99), "cookie", Reason.MALFORMED_COOKIE)
    assert f"{COOKIE}, 99 characters, format neither of ours, not hpke" in said


def test_a_cookie_of_the_other_format(tmp_path: Path) -> None:
    """A cookie of an earlier token handler is known for what it is."""
    value = pack(1, b"0123", bytes(60))
    assert "format aes-gcm, not hpke" in ends_at(Bench(tmp_path).curl(cookie=value), "cookie", Reason.MALFORMED_COOKIE)


def test_a_cookie_of_another_key(tmp_path: Path) -> None:
    """Both key ids are told: the cookie's, and those of the proxy."""
    bench = Bench(tmp_path)
    value, first = bench.sealed(), facts(bench.curl(), "cookie")
    mine = first.split("key ")[1][:8]
    said = ends_at(Bench(tmp_path).curl(cookie=value), "cookie", Reason.UNKNOWN_COOKIE_KEY)
    assert f"key {mine}; the keys here are " in said


def test_a_cookie_that_does_not_open(tmp_path: Path) -> None:
    """A cookie sealed for another name passes the cheap check, and ends at opening."""
    bench = Bench(tmp_path)
    said = ends_at(bench.curl(cookie=bench.sealed(cookie="other")), "open", Reason.UNDECRYPTABLE_COOKIE)
    assert f"app shop, cookie {COOKIE}" in said


def ended(where: Bench) -> None:
    """Somebody has logged out."""
    revocation = Revocation(mark("shop", Kind.SESSION, SESSION), 2**45, 2**46)
    asyncio.run(RevocationFile(where.folder / "revocations.jsonl", where.server.clock).tell(revocation))


def test_a_session_that_was_ended(tmp_path: Path) -> None:
    """What the proxies are told by the file, explain reads there; nobody is asked about the token."""
    bench = Bench(tmp_path, {"revocations.file": "revocations.jsonl"})
    assert verdict(bench.curl()) == "would ask the authorization server"
    ended(bench)
    said = ends_at(bench.curl(options=("--live",)), "open", Reason.SESSION_REVOKED)
    assert f"session {SESSION[:4]}..." in said
    assert bench.server.asked == []


def test_revocations_that_cannot_be_read(tmp_path: Path) -> None:
    """Then it is told that they are not known, and the rest all the same."""
    bench = Bench(tmp_path, {"revocations.file": "revocations.jsonl"})
    (tmp_path / "revocations.jsonl").mkdir()
    loop = bench.curl()
    assert loop.exit_code == 2  # a folder there is a mistake of the configuration's
    (tmp_path / "revocations.jsonl").rmdir()
    (tmp_path / "revocations.jsonl").symlink_to("revocations.jsonl")
    said = facts(bench.curl(), "open")
    assert "whether it was ended is not known" in said
    assert "symbolic links" in said


def test_a_cookie_with_something_else_in_it(tmp_path: Path) -> None:
    """What opens, but holds no token, ends at opening too, though the reason is that of a malformed cookie."""
    bench = Bench(tmp_path)
    ends_at(bench.curl(cookie=bench.sealed(b'{"at":"a b","iat":1,"sid":""}')), "open", Reason.MALFORMED_COOKIE)


@pytest.mark.parametrize("seconds", [10**30, -(10**30), 253402300800])
def test_a_date_there_is_not(tmp_path: Path, seconds: int) -> None:
    """Anyone who has the public key can write any time into a cookie; it is no reason to fail."""
    bench = Bench(tmp_path)
    value = bench.sealed(b'{"at":"t","iat":%d,"sid":"\\u001b[2J"}' % seconds)
    said = facts(bench.curl(cookie=value), "open")
    assert "issued at no date there is, session ?[2J..." in said


ROUTES: dict[str, object] = {
    "apps.shop.routes": [
        {"path": "/orders/public", "auth": "optional"},
        {"path": "/orders/open", "auth": "off"},
        {"path": "/orders", "scope": "admin"},
        {"path": "/userinfo", "upstream": "opaque"},
    ]
}


def test_the_longest_path(tmp_path: Path) -> None:
    """The path that matched is named, and what holds there."""
    said = facts(Bench(tmp_path, ROUTES).curl(), "route")
    assert said == "path /orders: auth required, csrf header, upstream phantom, scopes admin, audience api"


def test_no_path_that_matches(tmp_path: Path) -> None:
    """Where no path matches, the app's own settings hold."""
    result = Bench(tmp_path, ROUTES).explain("--path", "/x", "--host", "api.shop.example")
    assert facts(result, "route").startswith("no path of routes, so the app's own: auth required, ")


def test_a_path_servers_read_in_two_ways(tmp_path: Path) -> None:
    """An escaped path across routes is refused, with the paths it could fall under."""
    result = Bench(tmp_path, ROUTES).explain("--path", "/orders/%2e%2e/x", "--host", "api.shop.example")
    assert "not to be told among /orders/public, /orders/open, /orders, /userinfo" in ends_at(
        result, "route", Reason.AMBIGUOUS_PATH
    )


def test_settings_of_the_gateways_route(tmp_path: Path) -> None:
    """--app and --context stand for the route's own settings."""
    options = ("--app", "shop", "--context", "scope=a b", "--context", "audience=x")
    result = Bench(tmp_path, ROUTES).curl(options=options)
    assert facts(result, "app") == "shop, named by the route"
    assert facts(result, "route") == (
        "path /orders, with the route's own scope=a b, audience=x: "
        "auth required, csrf header, upstream phantom, scopes a, b, audience x"
    )


@pytest.mark.parametrize(
    ("setting", "seen"),
    [("auth=sometimes", "own auth=sometimes"), ("colour=blue", "own colour, which is no setting")],
)
def test_a_setting_that_does_not_serve(tmp_path: Path, setting: str, seen: str) -> None:
    """A setting of the route that is not known refuses, and is named."""
    result = Bench(tmp_path).curl(options=("--context", setting))
    assert seen in ends_at(result, "route", Reason.ROUTE_SETTING)


def test_an_app_there_is_not(tmp_path: Path) -> None:
    """A route that names an unknown app refuses, and the apps there are are told."""
    said = ends_at(Bench(tmp_path).curl(options=("--app", "bank")), "app", Reason.UNKNOWN_APP)
    assert "the route names bank; there are shop (api.shop.example)" in said


def test_the_only_app(tmp_path: Path) -> None:
    """An app without hosts takes every request."""
    result = Bench(tmp_path, {"apps.shop.hosts": None}).explain("--path", "/")
    assert facts(result, "app") == "shop, the only one that takes any host"
    assert facts(result, "request") == "GET / on (no host); no cookies"


def test_optional_authentication(tmp_path: Path) -> None:
    """Where it is optional, what is missing is told as waived, and the request passes as nobody's."""
    result = Bench(tmp_path, ROUTES).explain("curl", f"{URL}/public")
    assert (result.exit_code, verdict(result)) == (0, "200 anonymous")
    assert (states(result)["csrf"], states(result)["cookie"]) == ("waived", "-")
    assert facts(result, "csrf").startswith("csrf_header ")
    assert facts(result, "upstream headers").startswith("sets none; removes authorization, token-handler-version")


def test_optional_authentication_without_a_cookie(tmp_path: Path) -> None:
    """A request without a cookie that is good in all else passes as nobody's at the cookie."""
    result = Bench(tmp_path, ROUTES).explain("curl", f"{URL}/public", *GOOD)
    assert (states(result)["csrf"], states(result)["cookie"], states(result)["open"]) == ("ok", "waived", "-")
    assert facts(result, "open") == "not needed"


def test_no_authentication(tmp_path: Path) -> None:
    """Where it is off, nothing behind it is needed."""
    result = Bench(tmp_path, ROUTES).explain("curl", f"{URL}/open", "-b", f"{COOKIE}=x; a=b")
    assert (result.exit_code, verdict(result)) == (0, "200 auth_off")
    assert facts(result, "authorization") == "not needed"
    assert facts(result, "upstream headers") == "sets cookie; removes authorization, token-handler-version"


def test_the_opaque_way_needs_nobody(tmp_path: Path) -> None:
    """A token that goes on as it is can be told to its end without --live."""
    bench = Bench(tmp_path, ROUTES)
    result = bench.explain("curl", URL.replace("orders", "userinfo"), *GOOD, "-b", f"{COOKIE}={bench.sealed()}")
    assert (result.exit_code, verdict(result)) == (0, "200 allow")
    assert set(states(result).values()) == {"ok"}
    assert facts(result, "upstream token") == "goes on as it is (opaque), nobody is asked"
    assert facts(result, "token") == "not looked into"
    assert facts(result, "upstream headers") == "sets authorization; removes token-handler-version, cookie"


PREFLIGHT = ("-X", "OPTIONS", "-H", "access-control-request-method: PUT")


def test_a_preflight_for_the_api(tmp_path: Path) -> None:
    """Without cors a preflight of a trusted origin goes on without credentials."""
    result = Bench(tmp_path).explain("curl", URL, *GOOD, *PREFLIGHT)
    assert (result.exit_code, verdict(result)) == (0, "200 preflight")
    assert facts(result, "preflight").startswith("yes, Origin https://www.shop.example, trusted; cors is not set")


def test_a_preflight_answered_here(tmp_path: Path) -> None:
    """With cors it is answered, and nothing reaches the API."""
    result = Bench(tmp_path, {"apps.shop.cors": {}}).explain("curl", URL, *GOOD, *PREFLIGHT)
    assert (result.exit_code, verdict(result)) == (0, "204 preflight")
    assert facts(result, "preflight").endswith("answered here, with CORS headers for trusted origins only")
    assert facts(result, "upstream headers") == "not reached"


def test_another_scheme(tmp_path: Path) -> None:
    """An Authorization header of another scheme counts for nothing; the scheme may be a token, and is not shown."""
    result = Bench(tmp_path).explain("curl", URL, *GOOD, "-H", "Authorization: canary-7f3a")
    assert facts(result, "authorization") == "of another scheme than Bearer; counts for nothing (bearer: deny)"
    assert verdict(result) == "401 no_credentials"


BEARER: dict[str, object] = {"apps.shop.upstream": {"bearer": "introspect"}}


def test_a_clients_own_token(tmp_path: Path) -> None:
    """A client's own token needs neither cookie nor CSRF header, and stands for both."""
    result = Bench(tmp_path, BEARER).explain("curl", URL, "--oauth2-bearer", "abc")
    assert facts(result, "authorization") == "one bearer token of 3 characters"
    assert {facts(result, name) for name in ("csrf", "cookie", "open")} == {"not needed: the client's own token counts"}
    assert (result.exit_code, states(result)["upstream token"]) == (0, "?")


def test_a_clients_token_that_is_none(tmp_path: Path) -> None:
    """Two tokens in one header are no credential."""
    result = Bench(tmp_path, BEARER).explain(
        "curl", URL, "-H", "Authorization: Bearer a", "-H", "authorization: Bearer b"
    )
    assert "Bearer, not one token" in ends_at(result, "authorization", Reason.MALFORMED_BEARER)


def test_a_dry_run(tmp_path: Path) -> None:
    """What would be refused is told as such, and that it passes."""
    result = Bench(tmp_path, {"apps.shop.dry_run": True}).curl(cookie="")
    assert result.exit_code == 0
    assert verdict(result) == "200 dry_run: passes without credentials; otherwise 401 no_credentials"
    assert (states(result)["cookie"], states(result)["upstream headers"]) == ("REFUSED", "ok")


V1_KEY = "0102030405060708091011121314151617181920212223242526272829303132"


def v1_bench(folder: Path) -> tuple[Bench, str, str]:
    """An installation with cookies of the earlier format: an access token cookie, and a CSRF cookie."""
    (folder / "shared.key").write_text(V1_KEY)
    cookie = {"format": "aes-gcm", "encryption_key_file": "shared.key"}
    texts = (OPAQUE, "csrf-of-the-shop")
    sealed = [AESGCM(bytes.fromhex(V1_KEY)).encrypt(bytes(12), text.encode(), None) for text in texts]
    values = [pack(1, bytes(4), bytes(8) + body) for body in sealed]
    return Bench(folder, {"apps.shop.cookie": cookie}), values[0], values[1]


def test_double_submit(tmp_path: Path) -> None:
    """The cookie and the header of the double submit are told as there or absent."""
    bench, access, csrf = v1_bench(tmp_path)
    origin = ("-H", "origin: https://www.shop.example", "-b", f"shop-at={access}")
    result = bench.explain("curl", URL, *origin, "-d", "x")
    assert "mode double-submit; cookie shop-csrf absent; header x-shop-csrf absent" in ends_at(
        result, "csrf", Reason.CSRF_COOKIE, status=401
    )
    both = (*origin, "-b", f"shop-csrf={csrf}", "-H", "x-shop-csrf: csrf-of-the-shop")
    result = bench.explain("curl", URL, *both, "-d", "x")
    assert "cookie shop-csrf there; header x-shop-csrf there" in facts(result, "csrf")
    assert facts(result, "cookie").endswith("characters, format aes-gcm")
    assert facts(result, "open") == f"a token of {len(OPAQUE)} characters"
    assert verdict(result) == "would ask the authorization server"


def broken(_: AppConfig) -> Issuer:
    """An authorization server that cannot be had."""
    raise ZeroDivisionError("canary-7f3a")


def test_a_fault_of_ours(tmp_path: Path) -> None:
    """What nobody foresaw is one line with its type and place, and without what it says."""
    result = Bench(tmp_path).explain("curl", URL, world=World(issuer=broken))
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("extauthz: explain failed: ZeroDivisionError in broken, line ")


def test_a_fault_of_ours_at_some_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the proxy answers with internal_error is told at the stage that had begun, by its type alone."""

    def fault(*_: object) -> NoReturn:
        raise ZeroDivisionError("canary-7f3a")

    monkeypatch.setattr(SealedAccessTokens, "open", fault)
    said = ends_at(Bench(tmp_path).curl(), "open", Reason.INTERNAL_ERROR)
    assert f"cookie {COOKIE}; ZeroDivisionError ->" in said
    assert "canary" not in said


def test_the_real_world_is_built(tmp_path: Path) -> None:
    """Without a world of a test the command makes its own client and closes it."""
    result = Bench(tmp_path).explain("curl", URL, world=object())
    assert verdict(result) == "403 csrf_header"
    assert World().wall() == pytest.approx(time.time(), abs=60)


def test_the_session_is_not_shown_whole(tmp_path: Path) -> None:
    """Four characters of the session id are enough."""
    assert SESSION not in Bench(tmp_path).curl().output
