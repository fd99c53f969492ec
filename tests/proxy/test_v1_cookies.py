"""Cookies of format aes-gcm: what another implementation sealed opens, and nothing else does."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from e2e_v1.v1_agent import V1Agent
from hypothesis import given
from hypothesis import strategies as st
from proxy_world.asking import UNHURRIED
from proxy_world.installation import loaded

from extauthz.build import build_opener, build_policy
from extauthz.cookies import v1
from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.cookies.header import CookieHeader
from extauthz.cookies.v1 import V1Cookies
from extauthz.decision import Credential, Deny, conclude, examine
from extauthz.outcome import Refused
from extauthz.policy import Policy
from extauthz.reason import Reason
from extauthz.request import Request

VECTORS = Path(__file__).parent.parent / "vectors"
KNOWN: dict[str, Any] = json.loads((VECTORS / "v1.json").read_text())
GOOD: list[dict[str, Any]] = KNOWN["good"]
BAD: list[dict[str, str]] = KNOWN["bad"]["cookies"]
KEYS: list[str] = KNOWN["bad"]["keys"]
KEY, OTHER_KEY, THIRD_KEY = bytes.fromhex(KEYS[0]), bytes(range(32)), bytes(range(1, 33))
ORIGIN = "https://www.example.com"
TOKEN = "twenty-bytes-of-text"
OPENER = V1Cookies([KEY])
AGENT = V1Agent(KEY)
BODY = '{"code":"unauthorized","message":"Access denied due to missing or invalid credentials"}'

each_good = pytest.mark.parametrize("vector", GOOD, ids=[vector["name"] for vector in GOOD])
each_bad = pytest.mark.parametrize("vector", BAD, ids=[vector["name"] for vector in BAD])


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Policy, V1Cookies]:
    """Policy and opener of a configured app, with the key of the bad vectors."""
    (tmp_path / "cookie.key").write_text(KEYS[0])
    cookie = {"format": "aes-gcm", "prefix": "example", "encryption_key_file": "cookie.key"}
    app = loaded(tmp_path, {"apps.shop.spa_url": ORIGIN, "apps.shop.cookie": cookie}).apps["shop"]
    opener = build_opener("shop", app)
    assert isinstance(opener, V1Cookies)
    return build_policy("shop", app), opener


# --- what opens


@each_good
def test_vectors_of_another_implementation_open(vector: dict[str, Any]) -> None:
    """What Java's own AES has sealed opens here: as text, and as an access token without time or session."""
    opener = V1Cookies([bytes.fromhex(key) for key in vector["keys"]])
    opener.admit(vector["sealed"])
    assert opener.open_text(vector["sealed"]) == vector["plaintext"]
    opened = opener.open(vector["sealed"])
    assert (opened.token, opened.issued_at, opened.session_id) == (vector["plaintext"], 0, "")


@pytest.mark.parametrize(
    ("name", "characters", "sealed"),
    [("a UUID", 36, 87), ("a CSRF value", 64, 124), ("a JWT", 907, 1248), ("a single character", 1, 40)],
)
def test_sizes(name: str, characters: int, sealed: int) -> None:
    """The vectors have the sizes of the cookies found in the wild, and the shortest there can be."""
    [vector] = [vector for vector in GOOD if vector["name"] == name]
    assert (len(vector["plaintext"]), len(vector["sealed"])) == (characters, sealed)


# Java runs a source file only with the compiler beside it; most machines that build this have neither.
@pytest.mark.skipif(shutil.which("javac") is None, reason="no JDK here; the vectors are checked in")
def test_the_vectors_are_what_their_maker_makes() -> None:
    """Where there is a JDK, the program beside the vectors writes them again, byte for byte."""
    made = subprocess.run(["java", VECTORS / "MakeV1.java"], check=True, capture_output=True)  # noqa: S607
    assert made.stdout == (VECTORS / "v1.json").read_bytes()


@each_good
def test_vectors_of_another_implementation_are_what_we_seal(vector: dict[str, Any]) -> None:
    """With the same IV, ours are theirs byte for byte: under the first of the keys, or under the one before."""
    raw = base64.urlsafe_b64decode(vector["sealed"] + "=" * (-len(vector["sealed"]) % 4))
    keys = [bytes.fromhex(key) for key in vector["keys"]]
    assert vector["sealed"] in [v1._seal(vector["plaintext"], key, raw[1:13]) for key in keys]


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=500))
def test_what_we_seal_an_earlier_agent_opens(text: str) -> None:
    """Under the first of our keys, and never twice the same."""
    ours = V1Cookies([KEY, OTHER_KEY])
    assert AGENT.open(ours.seal(text)) == ours.open_text(ours.seal(text)) == text
    assert ours.seal(text) != ours.seal(text)


@UNHURRIED
@given(text=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=3043))
def test_what_an_agent_seals_opens(text: str) -> None:
    """Whatever token an agent seals comes out again, in a cookie of four thirds of its length and 29 bytes."""
    sealed = AGENT.seal(text)
    assert OPENER.open(sealed).token == text
    assert len(sealed) == -(-(len(text) + 29) * 4 // 3)


def test_a_cookie_may_be_4096_characters() -> None:
    """The largest value a browser keeps opens, and one of more than 4096 characters does not."""
    largest = AGENT.seal("x" * 3043)
    assert len(largest) == 4096
    assert OPENER.open(largest).token == "x" * 3043
    assert defect(OPENER.open, AGENT.seal("x" * 3044)) is Defect.MALFORMED


@pytest.mark.parametrize("keys", [[KEY, OTHER_KEY], [OTHER_KEY, KEY], [OTHER_KEY, THIRD_KEY, KEY]])
def test_any_of_the_keys_opens(keys: list[bytes]) -> None:
    """Which of several keys sealed a cookie, the format does not say, so each is tried."""
    assert V1Cookies(keys).open(AGENT.seal(TOKEN)).token == TOKEN


def test_a_cookie_is_not_bound_to_its_name() -> None:
    """A CSRF cookie opens in the place of an access token: a weakness of the format, which our own does not have."""
    assert OPENER.open(AGENT.log_in(TOKEN).cookies["example-csrf"]).token != TOKEN


# --- what does not


@each_bad
def test_bad_vectors_do_not_open(vector: dict[str, str]) -> None:
    """Each is an InvalidCookie that tells its defect and not its value."""
    assert defect(OPENER.open, vector["sealed"]) == vector["defect"]


@each_bad
def test_the_cheap_check_is_cheap(vector: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`admit` refuses what has not the form of a cookie, and no cipher is reached."""

    def refuse(key: object) -> None:
        raise AssertionError(f"the cipher was reached with a {type(key).__name__}")

    monkeypatch.setattr(v1, "AESGCM", refuse)
    has_the_form = vector["defect"] == Defect.UNDECRYPTABLE or vector["name"].startswith("not a token")
    if has_the_form:
        OPENER.admit(vector["sealed"])
    else:
        assert defect(OPENER.admit, vector["sealed"]) is Defect.MALFORMED


@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_each_byte_counts(bit: int) -> None:
    """A bit flipped in any byte spoils the cookie: in the version, in the IV, in the text or in the tag."""
    raw = raw_of(AGENT.seal(TOKEN))
    defects = [defect(OPENER.open, value(flipped(raw, at, bit))) for at in range(len(raw))]
    assert defects == [Defect.MALFORMED] + [Defect.UNDECRYPTABLE] * (len(raw) - 1)


def test_cut_off_anywhere() -> None:
    """No beginning of a cookie opens: below 30 bytes it is not of the form, above it does not decrypt."""
    raw = raw_of(AGENT.seal(TOKEN))
    for length in range(len(raw)):
        expected = Defect.MALFORMED if length < 30 else Defect.UNDECRYPTABLE
        assert defect(OPENER.open, value(raw[:length])) is expected


SPELLINGS: dict[str, Callable[[str], str]] = {
    "one padding character": lambda sealed: f"{sealed}=",
    "two padding characters": lambda sealed: f"{sealed}==",
    "a blank before": lambda sealed: f" {sealed}",
    "a tab behind": lambda sealed: f"{sealed}\t",
    "a NUL behind": lambda sealed: f"{sealed}\0",
    "a foreign character inside": lambda sealed: f"{sealed[:9]}*{sealed[9:]}",
    "a full-width letter": lambda sealed: f"\uff21{sealed[1:]}",
    "not UTF-8": lambda sealed: f"{sealed[:-1]}\udcff",
    "itself twice, with a comma": lambda sealed: f"{sealed},{sealed}",
    "4097 characters": lambda sealed: sealed.ljust(4097, "A"),
    "a megabyte": lambda sealed: sealed * 16_000,
}


@pytest.mark.parametrize("spoil", [pytest.param(spoil, id=name) for name, spoil in SPELLINGS.items()])
def test_one_value_has_one_spelling(spoil: Callable[[str], str]) -> None:
    """What an agent would not have written is malformed, even where lenient decoders read the same bytes."""
    assert defect(OPENER.open, spoil(AGENT.seal(TOKEN))) is Defect.MALFORMED


def test_without_keys_nothing_opens() -> None:
    """An opener that holds no key, or only others, opens nothing."""
    for keys in ([], [OTHER_KEY], [OTHER_KEY, THIRD_KEY]):
        assert defect(V1Cookies(keys).open, AGENT.seal(TOKEN)) is Defect.UNDECRYPTABLE


def test_no_repr_shows_a_key() -> None:
    """Nothing printed by accident holds the keys."""
    assert repr(V1Cookies([KEY])) == "V1Cookies()"


# --- what the client is told


@pytest.mark.parametrize("vector", BAD[1:], ids=[vector["name"] for vector in BAD[1:]])
def test_every_bad_cookie_gets_the_same_answer(vector: dict[str, str], shop: tuple[Policy, V1Cookies]) -> None:
    """Whatever is wrong with an access token cookie, the client reads the same 401, byte for byte."""
    assert as_access_token(vector["sealed"], shop) == REFUSED


def test_an_empty_cookie_is_none(shop: tuple[Policy, V1Cookies]) -> None:
    """An empty cookie is answered like a missing one: the same but for RFC 6750's word for a bad token."""
    assert BAD[0] == {"name": "empty", "defect": "malformed_cookie", "sealed": ""}
    denied = as_access_token("", shop)
    assert denied == examine(request(""), [shop[0]])
    assert (denied.status, denied.body, denied.reason) == (401, BODY, Reason.NO_CREDENTIALS)
    assert denied.headers == with_challenge(REFUSED, "").headers


@each_bad
def test_every_bad_csrf_cookie_gets_the_same_answer(vector: dict[str, str], shop: tuple[Policy, V1Cookies]) -> None:
    """Whatever is wrong with a CSRF cookie, the client reads the same 401, byte for byte."""
    policy, _ = shop
    cookies = f"example-at={AGENT.seal(TOKEN)}; example-csrf={vector['sealed']}"
    denied = examine(replace(request(cookies, x_example_csrf=TOKEN), method="POST"), [policy])
    assert isinstance(denied, Deny)
    assert replace(denied, reason=REFUSED.reason) == with_challenge(REFUSED, "")
    # A text that is no token may still be that of a CSRF cookie, of another session.
    opens = vector["name"].startswith("not a token") and vector["name"] != "not a token: not UTF-8"
    assert denied.reason is (Reason.CSRF_MISMATCH if opens else Reason.CSRF_COOKIE)


REFUSED = Deny(
    app="shop",
    reason=Reason.MALFORMED_COOKIE,
    status=401,
    headers=(
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("vary", "Origin"),
        ("www-authenticate", 'Bearer realm="shop", error="invalid_token"'),
        ("access-control-allow-origin", ORIGIN),
        ("access-control-allow-credentials", "true"),
    ),
    body=BODY,
)


def as_access_token(sealed: str, shop: tuple[Policy, V1Cookies]) -> Deny:
    """The answer to a request with this access token cookie, the reason aside that the client does not see."""
    policy, opener = shop
    found = examine(request(f"a=1; example-at={sealed}"), [policy])
    if isinstance(found, Credential):
        found = conclude(found, Refused(Reason(defect(opener.open, found.value))), 0.0)
        assert isinstance(found, Deny)
        return replace(found, reason=REFUSED.reason)
    assert isinstance(found, Deny)
    return found


def request(cookies: str, **headers: str) -> Request:
    """A read from a page of the app."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = (cookies,) if cookies else ()
    return Request(
        method="GET",
        path="/orders",
        host="api.example.com",
        headers={"origin": ORIGIN} | named,
        cookies=CookieHeader(lines),
    )


def with_challenge(denied: Deny, parameters: str) -> Deny:
    """The same answer with these parameters behind the realm."""
    challenge = f'Bearer realm="shop"{parameters}'
    return replace(denied, headers=tuple((n, challenge if n == "www-authenticate" else v) for n, v in denied.headers))


def defect(open_: Callable[[str], object], sealed: str) -> Defect:
    """Why this value is refused; the value itself is not told."""
    with pytest.raises(InvalidCookie) as refused:
        open_(sealed)
    assert not sealed or sealed not in str(refused.value)
    return refused.value.defect


def raw_of(sealed: str) -> bytes:
    """The bytes of a cookie."""
    return base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))


def value(raw: bytes) -> str:
    """A cookie of these bytes."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def flipped(raw: bytes, at: int, bit: int) -> bytes:
    """The bytes with one bit flipped."""
    return raw[:at] + bytes((raw[at] ^ bit,)) + raw[at + 1 :]
