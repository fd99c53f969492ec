"""How a request proves that no other site made it: header, double submit, Origin."""

import hmac
from dataclasses import dataclass, field, replace

import pytest
from proxy_world.asking import ORIGIN, SHOP, ask, with_headers

from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.policy import Cors, Csrf, DoubleSubmit
from extauthz.reason import Reason
from extauthz.request import Request
from extauthz.rules.csrf import forgery

CSRF_COOKIE = "shop-csrf"
EVIL = "https://evil.example"
CORS = Cors(allow_methods=("GET",), allow_headers=(), expose_headers=(), max_age=0)


@dataclass
class FakeCsrf:
    """Opens "sealed-x" to "x", and nothing else."""

    opened: list[str] = field(default_factory=list)

    def open_text(self, value: str) -> str:
        """What the cookie holds."""
        self.opened.append(value)
        if not value.startswith("sealed-"):
            raise InvalidCookie(Defect.UNDECRYPTABLE)
        return value.removeprefix("sealed-")


PAIR = DoubleSubmit(cookie=CSRF_COOKIE, header="x-shop-csrf", opener=FakeCsrf())
V1 = replace(SHOP, double_submit=PAIR)


def submit(
    method: str = "POST", *, cookie: str | None = "sealed-t0ken", header: str | None = "t0ken", **more: str | None
) -> Request:
    """A request with both halves of a double submit, without our custom header."""
    cookies = () if cookie is None else (f"a=1; {CSRF_COOKIE}={cookie}",)
    bare = ask(method=method, cookies=cookies, token_handler_version=None, x_shop_csrf=header)
    return with_headers(bare, {name.replace("_", "-"): value for name, value in more.items()})


DOUBLE_SUBMIT = [
    ("both halves agree", submit(), None),
    ("a safe method needs neither", submit("GET", cookie=None, header=None, origin=None), None),
    ("HEAD needs neither", submit("HEAD", cookie=None, header=None, origin=None), None),
    ("no Origin on a changing method", submit(origin=None), Reason.ORIGIN_MISSING),
    ("another Origin", submit(origin=EVIL), Reason.ORIGIN_UNTRUSTED),
    ("another Origin on a safe method", submit("GET", origin=EVIL), Reason.ORIGIN_UNTRUSTED),
    ("no cookie", submit(cookie=None), Reason.CSRF_COOKIE),
    ("an empty cookie", submit(cookie=""), Reason.CSRF_COOKIE),
    ("a cookie that does not open", submit(cookie="rubbish"), Reason.CSRF_COOKIE),
    ("two cookies", submit(cookie=f"sealed-t0ken; {CSRF_COOKIE}=sealed-x"), Reason.CSRF_COOKIE),
    ("no header", submit(header=None), Reason.CSRF_HEADER),
    ("an empty header", submit(header=""), Reason.CSRF_HEADER),
    ("the token of another session", submit(header="0ther"), Reason.CSRF_MISMATCH),
    ("half the token", submit(header="t0k"), Reason.CSRF_MISMATCH),
    ("the token in capitals", submit(header="T0KEN"), Reason.CSRF_MISMATCH),
    ("the token twice", submit(header="t0ken,t0ken"), Reason.CSRF_MISMATCH),
    ("the sealed value for the token", submit(header="sealed-t0ken"), Reason.CSRF_MISMATCH),
    ("bytes that are no text", submit(header="\udcff"), Reason.CSRF_MISMATCH),
    ("another site, whatever the halves say", submit(sec_fetch_site="cross-site"), Reason.CROSS_SITE),
    ("an unknown method may change something", submit("BREW", header=None), Reason.CSRF_HEADER),
]


@pytest.mark.parametrize(("request_", "reason"), [pytest.param(*row[1:], id=row[0]) for row in DOUBLE_SUBMIT])
def test_double_submit(request_: Request, reason: Reason | None) -> None:
    """On changing methods Origin, cookie and header all have to be there and agree."""
    assert forgery(request_, V1, Csrf.DOUBLE_SUBMIT) is reason


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_with_cors_of_ours_every_double_submit_needs_an_origin(method: str) -> None:
    """Where pages and API have different origins, browsers always say which one asks."""
    request = submit(method, origin=None)
    assert forgery(request, replace(V1, cors=CORS), Csrf.DOUBLE_SUBMIT) is Reason.ORIGIN_MISSING
    assert forgery(request, V1, Csrf.DOUBLE_SUBMIT) is None


def test_without_a_pair_nothing_can_be_compared() -> None:
    """A changing request of an app that has no CSRF cookie is refused, not let through unproven."""
    assert forgery(submit(), SHOP, Csrf.DOUBLE_SUBMIT) is Reason.ROUTE_SETTING


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison of the two halves takes the same time wherever they differ."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(hmac, "compare_digest", compare)
    # Whatever the comparison says decides; there is no other.
    assert forgery(submit(), V1, Csrf.DOUBLE_SUBMIT) is Reason.CSRF_MISMATCH
    assert compared == [(b"t0ken", b"t0ken")]


@pytest.mark.parametrize("request_", [submit(origin=EVIL), submit(header=None), submit(origin=None)])
def test_no_cipher_before_the_cheap_checks(request_: Request) -> None:
    """A request that is refused anyway costs no decryption."""
    opener = FakeCsrf()
    policy = replace(SHOP, double_submit=replace(PAIR, opener=opener))
    assert forgery(request_, policy, Csrf.DOUBLE_SUBMIT) is not None
    assert opener.opened == []


BY_ORIGIN = [
    ("a trusted origin", ask(token_handler_version=None), None),
    ("a WebSocket from the app", ask(token_handler_version=None, upgrade="websocket"), None),
    ("a changing method from the app", ask(method="POST", token_handler_version=None), None),
    ("no Origin at all", ask(origin=None), Reason.ORIGIN_MISSING),
    ("a WebSocket without an Origin", ask(origin=None, upgrade="websocket"), Reason.ORIGIN_MISSING),
    ("a read from the page's own origin", ask(origin=None, sec_fetch_site="same-origin"), None),
    ("a read from a sibling", ask(origin=None, sec_fetch_site="same-site"), Reason.ORIGIN_MISSING),
    ("a read out of nowhere", ask(origin=None, sec_fetch_site="none"), Reason.ORIGIN_MISSING),
    ("a read said twice", ask(origin=None, sec_fetch_site="same-origin,same-origin"), Reason.ORIGIN_MISSING),
    ("a write without Origin", ask(method="POST", origin=None, sec_fetch_site="same-origin"), Reason.ORIGIN_MISSING),
    ("another origin", ask(origin=EVIL), Reason.ORIGIN_UNTRUSTED),
    ("another origin that says same-origin", ask(origin=EVIL, sec_fetch_site="same-origin"), Reason.ORIGIN_UNTRUSTED),
    ("the null origin", ask(origin="null", upgrade="websocket"), Reason.ORIGIN_UNTRUSTED),
    ("two origins", ask(origin=f"{ORIGIN},{EVIL}"), Reason.ORIGIN_UNTRUSTED),
    ("another site", ask(sec_fetch_site="cross-site"), Reason.CROSS_SITE),
]


@pytest.mark.parametrize(("request_", "reason"), [pytest.param(*row[1:], id=row[0]) for row in BY_ORIGIN])
def test_origin_alone(request_: Request, reason: Reason | None) -> None:
    """Where no header can be sent, the exact Origin decides, and on reads the browser's word for its own pages."""
    assert forgery(request_, SHOP, Csrf.ORIGIN) is reason
