"""Secrets with names that are easy to find, sent through every branch of explain: none of them reaches the screen."""

import asyncio
import base64
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
import yaml
from click.testing import Result
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from explain.world import COOKIE, GOOD, URL, Bench, verdict
from proxy_world.authorization_server import DISCOVERY, INTROSPECT, JWKS, token

from extauthz.config import Config, Program, load
from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.envelope import pack
from extauthz.cookies.marks import Kind, mark
from extauthz.explain import curl, typed
from extauthz.explain.command import Options
from extauthz.explain.stage import Stage
from extauthz.explain.steps import explain
from extauthz.explain.text import explanation
from extauthz.explain.witness import Witness, World, decide
from extauthz.oauth.issuer import Issuer
from extauthz.outcome import Bearer, UpstreamToken
from extauthz.reason import Reason
from extauthz.revocations.file import RevocationFile
from extauthz.revocations.known import Revocation

CANARY = "canary-7f3a"
CLIENT_SECRET = "s3cr3t-of-the-shop"
V1_KEY = "0102030405060708091011121314151617181920212223242526272829303132"
JWT = token({"canary": CANARY, "sub": CANARY})
QUERY = f"?access_token={CANARY}#{CANARY}"
# A request that passes, full of secrets where nobody has business with them.
FULL = (f"{URL}{QUERY}", *GOOD, "-H", f"x-api-key: {CANARY}", "-A", CANARY, "-d", CANARY, "-b", f"other={CANARY}")


def bench(folder: Path, **upstream: object) -> Bench:
    """An installation whose server gives a JWT with canaries in it."""
    folder.mkdir()
    changes: dict[str, object] = {
        "apps.shop.upstream": {"required_scopes": ["orders"], "audience": "api"} | upstream,
        "apps.shop.identity_headers": {"x-user": "sub"},
        "apps.shop.routes": [
            {"path": "/off", "auth": "off"},
            {"path": "/optional", "auth": "optional"},
            {"path": "/opaque", "upstream": "opaque"},
        ],
    }
    made = Bench(folder, changes)
    made.server.introspects(JWT)
    return made


def sealed(where: Bench) -> str:
    """A good cookie with canaries in it."""
    return where.sealed(AccessToken(token=CANARY, issued_at=1_000_000, session_id=f"sid-{CANARY}").to_bytes())


def by_request(folder: Path) -> list[Result]:
    """Every refusal by the request alone, every way to pass, and a request good in all."""
    where = bench(folder / "request")
    cookie = ("-b", f"{COOKIE}={sealed(where)}")
    other, secret = "https://api.shop.example", f"{COOKIE}={CANARY}"
    words = [
        [*FULL, *cookie],
        [*FULL, *cookie, "-X", ""],
        [*FULL, *cookie, "-H", "Host: other.example"],
        [f"{other}/off/%2e%2e/x{QUERY}", *cookie],
        [*FULL, *cookie, "-H", f"Authorization: Bearer {CANARY}"],
        [*FULL, *cookie, "-H", f"Authorization: {CANARY}"],
        [*FULL, *cookie, "-H", f"Origin: {CANARY}"],
        [*FULL, *cookie, "-H", f"token-handler-version: {CANARY}"],
        [URL, *cookie, "-H", f"token-handler-version: {CANARY}"],
        [URL, *cookie, "-H", "token-handler-version: 1", "-H", f"origin: {CANARY}"],
        [URL, *cookie, "-H", "token-handler-version: 1", "-X", "PUT"],
        [*FULL, *cookie, "-H", f"sec-fetch-site: cross-site {CANARY}"],
        [*FULL, "-u", f"user:{CANARY}"],
        [*FULL, "--oauth2-bearer", CANARY],
        [*FULL],
        [*FULL, "-b", f"{CANARY}="],
        [*FULL, "-b", secret],
        [*FULL, "-b", f"{secret}-1; {secret}-2"],
        [*FULL, "-b", f"{COOKIE}={pack(2, b'0123', CANARY.encode() * 9)}"],
        [*FULL, "-b", f"{COOKIE}={pack(1, b'0123', CANARY.encode() * 9)}"],
        [*FULL, "-b", f"{COOKIE}={base64.urlsafe_b64encode(CANARY.encode() * 9).decode().rstrip('=')}"],
        [*FULL, "-b", f"{COOKIE}={where.sealed(CANARY.encode())}"],
        [*FULL, "-b", f"{COOKIE}={where.sealed(CANARY.encode(), cookie='other')}"],
        [f"{other}/off{QUERY}", *cookie, "-H", f"authorization: Bearer {CANARY}"],
        [f"{other}/optional{QUERY}", *cookie],
        [f"{other}/opaque{QUERY}", *GOOD, *cookie],
        [*FULL, "-X", "OPTIONS", "-H", f"access-control-request-method: {CANARY}"],
        [*FULL, "-X", "OPTIONS", "-H", "access-control-request-method: PUT"],
    ]
    results = [where.explain("curl", *line) for line in words]
    results.append(ended(folder / "ended"))
    results.append(where.explain("--context", f"colour={CANARY}", "curl", *FULL, *cookie))
    introspecting = bench(folder / "bearer", bearer="introspect")
    results += [
        introspecting.explain("curl", *FULL, "--oauth2-bearer", text) for text in (CANARY, f"{CANARY} {CANARY}")
    ]
    return [*results, *by_double_submit(folder / "v1")]


def ended(folder: Path) -> Result:
    """A session somebody has logged out of."""
    where = bench(folder)
    settings = yaml.safe_load(where.config.read_text()) | {"revocations": {"file": "revocations.jsonl"}}
    where.config.write_text(yaml.safe_dump(settings))
    revocation = Revocation(mark("shop", Kind.SESSION, f"sid-{CANARY}"), 2**45, 2**46)
    asyncio.run(RevocationFile(folder / "revocations.jsonl", where.server.clock).tell(revocation))
    return where.explain("curl", *FULL, "-b", f"{COOKIE}={sealed(where)}")


def by_double_submit(folder: Path) -> list[Result]:
    """The same for cookies of the earlier format."""
    folder.mkdir()
    (folder / "shared.key").write_text(V1_KEY)
    where = Bench(folder, {"apps.shop.cookie": {"format": "aes-gcm", "encryption_key_file": "shared.key"}})
    body = AESGCM(bytes.fromhex(V1_KEY)).encrypt(bytes(12), CANARY.encode(), None)
    value = pack(1, bytes(4), bytes(8) + body)
    words = [
        [*FULL, "-b", f"shop-at={value}"],
        [*FULL, "-b", f"shop-at={value}; shop-csrf={value}"],
        [*FULL, "-b", f"shop-at={value}; shop-csrf={value}", "-H", f"x-shop-csrf: {CANARY}-not"],
        [*FULL, "-b", f"shop-at={value}; shop-csrf={value}", "-H", f"x-shop-csrf: {CANARY}"],
        [*FULL, "-b", f"shop-at={CANARY}; shop-csrf={value}", "-H", f"x-shop-csrf: {CANARY}"],
    ]
    return [where.explain("curl", *line) for line in words]


def live(folder: Path) -> list[Result]:
    """Whatever the authorization server may answer."""
    where, jwt = bench(folder / "phantom"), "application/jwt"
    cookie = ("-b", f"{COOKIE}={sealed(where)}")
    answers: list[tuple[str, httpx2.Response | Exception]] = [
        (INTROSPECT, httpx2.Response(200, content=JWT.encode(), headers={"content-type": jwt})),
        (INTROSPECT, httpx2.Response(500, content=f"no such token {CANARY}".encode())),
        (INTROSPECT, httpx2.Response(401, content=CANARY.encode(), headers={"www-authenticate": CANARY})),
        (INTROSPECT, httpx2.Response(302, headers={"location": f"https://evil.example/?{CANARY}"})),
        (INTROSPECT, httpx2.Response(200, content=CANARY.encode(), headers={"content-type": jwt})),
        (INTROSPECT, httpx2.Response(200, json={"active": CANARY})),
        (INTROSPECT, httpx2.Response(200, json={"active": False, "canary": CANARY})),
        (INTROSPECT, httpx2.Response(200, content=b"{" + CANARY.encode())),
        (INTROSPECT, httpx2.ConnectError(f"cannot connect with {CANARY}")),
        (INTROSPECT, httpx2.ReadTimeout(CANARY)),
        (INTROSPECT, ZeroDivisionError(f"unexpected {CANARY} and {CLIENT_SECRET}")),
        (DISCOVERY, httpx2.ConnectError(CANARY)),
        (JWKS, httpx2.ConnectError(CANARY)),
    ]
    claims: list[dict[str, object]] = [{"iss": CANARY}, {"scope": "profile"}, {"aud": "bank"}, {"exp": 1}]
    answers += [
        (INTROSPECT, httpx2.Response(200, content=token(claim).encode(), headers={"content-type": jwt}))
        for claim in claims
    ]
    results = []
    for path, answer in answers:
        kept = where.server.answers[path]
        where.server.answers[path] = answer
        results.append(where.explain("--live", "curl", *FULL, *cookie))
        where.server.answers[path] = kept
    verified = bench(folder / "jwt", way="jwt")
    for text in (CANARY, token({"exp": 1, "canary": CANARY}), JWT[:-6] + "AAAAAA"):
        value = verified.sealed(AccessToken(token=text).to_bytes())
        results.append(verified.explain("--live", "curl", *FULL, "-b", f"{COOKIE}={value}"))
    return results


def mistaken(folder: Path) -> list[Result]:
    """Command lines that cannot be followed, and a client that cannot be had."""

    def broken(_: object) -> Issuer:
        raise ZeroDivisionError(CANARY)

    where = bench(folder / "mistaken")
    lines = [
        ["curl", f"--oauth2-bearer={CANARY}"],
        ["curl", f"-T{CANARY}", URL],
        ["curl", CANARY, CANARY],
        ["curl", URL, "-b", CANARY],
        ["curl", URL, "-H", f"@{CANARY}"],
        ["curl", f"ftp://{CANARY}/"],
        ["curl", f"https://{CANARY}:{CANARY}@api.shop.example/orders"],
        ["curl", f"https://user:pa/{CANARY}@api.shop.example/orders"],
        ["curl", f"https://api.shop.example:{CANARY}/"],
        ["--path", f"https://user:pa/{CANARY}@api.shop.example/orders"],
        ["curl", URL, "-H", CANARY],
        ["curl", URL, f"--context={CANARY}"],
        ["curl", f"^{URL}/{CANARY}^", "^"],
        ["-", CANARY],
        [f"curl {CANARY}"],
        ["--path", CANARY],
        ["--path", "/", "--context", CANARY],
        ["--request-id", "x", "--log", "/", "--header", CANARY],
    ]
    results = [where.explain(*line) for line in lines]
    results += [
        where.explain("-", stdin=f"curl '{CANARY}"),
        where.explain("-", stdin=f"curl {URL} | {CANARY}"),
        where.explain("-", stdin=f'curl ^"{URL}/{CANARY}^" ^\n'),
        where.explain("-", stdin=f"curl -H\0{CANARY} '{URL}{QUERY}'"),
    ]
    return [*results, where.explain("curl", *FULL, world=World(issuer=broken))]


EVERYTHING: tuple[Callable[[Path], list[Result]], ...] = (by_request, live, mistaken)


def test_no_secret_reaches_the_screen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Through every reason and every mistake, no cookie, token, secret, key or query is printed, logged or raised."""
    caplog.set_level(logging.DEBUG)
    results = [result for branch in EVERYTHING for result in branch(tmp_path)]
    cookies = {word for path in tmp_path.iterdir() for word in (path / "cookie-private.pem").read_text().split()}
    secrets = [CANARY, CLIENT_SECRET, V1_KEY, JWT, *JWT.split(".")[1:], *(word for word in cookies if len(word) > 20)]
    shown = caplog.text + "".join(result.output + repr(result.exception) for result in results)
    assert [secret for secret in secrets if secret in shown] == []
    assert {type(result.exception) for result in results} <= {SystemExit, type(None)}
    told = " ".join(verdict(result) for result in results if result.stdout)
    # The first is given by a door, before there is a request to decide.
    assert set(Reason) - {Reason.DOOR_SECRET} == {reason for reason in Reason if reason in told.split()}


def loaded(where: Bench) -> Config:
    """The configuration as the command loads it."""
    return load(where.config, Program.EXTAUTHZ, {})


def test_no_repr_holds_a_secret(tmp_path: Path) -> None:
    """What would stand in a traceback or a debugger's output shows nothing it guards."""
    where = bench(tmp_path / "repr")
    request = curl.parse(["curl", *FULL, "-b", f"{COOKIE}={sealed(where)}"])
    assert request.request({}).path.endswith(CANARY)
    clock = where.server.clock
    around = World(issuer=lambda app: Issuer(app.issuer, where.server.http(), clock), wall=clock, steady=clock)
    asked = replace(request, path="/orders").request({})
    case = asyncio.run(decide(loaded(where), asked, live=True, world=around))
    told = explain(case)
    assert told.passes
    options = Options(
        file=None,
        app=None,
        settings=(),
        live=False,
        method=None,
        path=CANARY,
        host=None,
        headers=(CANARY,),
        request_id=None,
        log=None,
        command=("curl", CANARY),
    )
    opened = AccessToken(token=CANARY, session_id=CANARY)
    outcome = UpstreamToken(bearer=Bearer(CANARY), expires_at=1.0, claims={"sub": CANARY})
    values = [
        request,
        typed.read_url(f"https://a.example/{CANARY}{QUERY}"),
        options,
        case,
        case.witness,
        Witness(begun=Stage.TOKEN, opened=opened, outcome=outcome),
        told,
        explanation(told),
    ]
    for value in values:
        assert CANARY not in f"{value!r}{value}"
        assert JWT not in f"{value!r}{value}"
