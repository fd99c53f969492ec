"""Group A: cookies. Through the core and every door an attack is refused, or what passes is not the forgery."""

import base64
from collections.abc import Iterator

import pytest
from proxy_world.asking import COOKIE
from proxy_world.fortress import KEY, RETIRED, Fortress, sealed, with_cookies

from extauthz.cookies.header import CookieHeader
from extauthz.cookies.hpke import public_key_id
from extauthz.reason import Reason

pytestmark = pytest.mark.anyio

GOOD = f"{COOKIE}={sealed()}"
FORGED = f"{COOKIE}={sealed(at='f0rged')}"
DEFECTS = {Reason.MALFORMED_COOKIE, Reason.UNKNOWN_COOKIE_KEY, Reason.UNDECRYPTABLE_COOKIE}


@pytest.mark.parametrize("line", [f"{GOOD}; {FORGED}", f"{FORGED}; {GOOD}", f"{GOOD};{FORGED};{GOOD}"])
async def test_a01_the_same_name_twice_in_one_line(line: str) -> None:
    """Neither the first nor the last value wins."""
    assert await Fortress().refused(with_cookies(line)) is Reason.AMBIGUOUS_COOKIE


@pytest.mark.parametrize("lines", [(GOOD, FORGED), (FORGED, GOOD), ("a=1", GOOD, FORGED)])
async def test_a02_two_cookie_lines(lines: tuple[str, ...]) -> None:
    """HTTP/1.1 lines that Envoy joins by a comma, or not."""
    assert await Fortress().refused(with_cookies(*lines)) is Reason.AMBIGUOUS_COOKIE


async def test_a03_two_entries_in_the_header_map() -> None:
    """The raw lines of one session, with a neighbour between them, are one header."""
    passed = await Fortress().passed(with_cookies("a=1", GOOD, "b=2"))
    assert dict(passed.set_headers)["cookie"] == "a=1; b=2"


async def test_a04_crumbs() -> None:
    """What HTTP/2 split, Envoy has joined with "; ", and our cookie is found among the crumbs."""
    passed = await Fortress().passed(with_cookies(f"a=1; {GOOD}; b=2"))
    assert dict(passed.set_headers)["cookie"] == "a=1; b=2"


@pytest.mark.parametrize(
    "name",
    [
        f"x{COOKIE}",
        f"{COOKIE}2",
        COOKIE.upper(),
        COOKIE.lower(),
        COOKIE[:-1],
        COOKIE.removeprefix("__Host-Http-"),
        "-at",
    ],
)
async def test_a05_names_that_are_nearly_ours(name: str) -> None:
    """A prefix, a suffix or another case of letters is another cookie, and goes to the API as one."""
    fortress = Fortress()
    assert await fortress.refused(with_cookies(f"{name}={sealed()}")) is Reason.NO_CREDENTIALS
    passed = await fortress.passed(with_cookies(f"{name}=mine; {GOOD}"))
    assert dict(passed.set_headers)["cookie"] == f"{name}=mine"


async def test_a06_a_quoted_value() -> None:
    """Quotes are part of a value, so this is no value of ours."""
    assert await Fortress().refused(with_cookies(f'{COOKIE}="{sealed()}"')) is Reason.MALFORMED_COOKIE


@pytest.mark.parametrize(
    "line",
    [f'$Version=1; a="; {FORGED}; b="', f'$Version=1; {FORGED}; $Path="/"', f'a="{GOOD}"; {FORGED}'],
)
async def test_a07_a_cookie_sandwich(line: str) -> None:
    """There is no Version 1 syntax here: a quote does not swallow what stands between."""
    fortress = Fortress()
    fortress.server.introspects("", status=204)
    assert await fortress.refused(with_cookies(line)) is Reason.TOKEN_INACTIVE


@pytest.mark.parametrize("line", [f"={GOOD}", f"; ={GOOD}", sealed(), f"={sealed()}", f" ; ={GOOD};"])
async def test_a08_an_empty_name(line: str) -> None:
    """A cookie without a name is not a cookie of ours, whatever its value looks like."""
    assert await Fortress().refused(with_cookies(line)) is Reason.NO_CREDENTIALS


@pytest.mark.parametrize("blank", ["\u2000", "\x85", "\xa0", "\u3000", "\x0b", "\x0c", "\x1c", "\ufeff"])
async def test_a09_blanks_that_browsers_keep(blank: str) -> None:
    """Only blanks and tabs are trimmed: a name that starts with another sign is another cookie."""
    fortress = Fortress()
    assert await fortress.refused(with_cookies(f"{blank}{FORGED}")) is Reason.NO_CREDENTIALS
    passed = await fortress.passed(with_cookies(f"{GOOD}; {blank}{COOKIE}=mine"))
    assert COOKIE in dict(passed.set_headers)["cookie"]


def encoded(raw: bytes | bytearray) -> str:
    """As cookie values are."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def spellings() -> Iterator[tuple[str, str]]:
    """Other ways to write the same bytes."""
    value = sealed()
    raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = last[last.index(value[-1]) ^ 1]
    yield "padding", f"{value}=="
    yield "one sign of padding", f"{value}="
    yield "an equals sign inside", f"{value[:10]}={value[10:]}"
    yield "surplus bits in the last character", f"{value[:-1]}{twin}"
    yield "the standard alphabet", base64.b64encode(raw + b"\xff\xff\xfe").decode()
    yield "a newline", f"{value}\n"
    yield "a carriage return", f"{value}\r"
    yield "a blank inside", f"{value[:10]} {value[10:]}"
    yield "a percent escape", f"{value[:-1]}%{ord(value[-1]):02x}"
    yield "base64 of it", base64.urlsafe_b64encode(value.encode()).rstrip(b"=").decode()
    yield "hexadecimal", raw.hex()


@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in spellings()])
async def test_a10_another_spelling_of_a_good_value(value: str) -> None:
    """One value has one spelling."""
    assert await Fortress().refused(with_cookies(f"{COOKIE}={value}")) in DEFECTS


@pytest.mark.parametrize("size", [4097, 8_000, 16_000, 60_000])
async def test_a11_large_values(size: int) -> None:
    """What no browser would keep is refused before it is decoded."""
    fortress = Fortress()
    reason = await fortress.refused(with_cookies(f"{COOKIE}={sealed()[:40]}{'A' * size}"))
    assert reason in (Reason.MALFORMED_COOKIE, Reason.MALFORMED_REQUEST)
    assert fortress.server.asked == []


@pytest.mark.parametrize("text", ["\udcff\udcfe", "!", "é", "\x00", "\x7f", "\u2028", "\udc80"])
async def test_a12_bytes_that_are_no_text(text: str) -> None:
    """They are no value of ours, and beside a good session they do no harm."""
    fortress = Fortress()
    assert await fortress.refused(with_cookies(f"{COOKIE}={text}")) is Reason.MALFORMED_COOKIE
    assert await fortress.refused(with_cookies(f"{COOKIE}={sealed()}{text}")) is Reason.MALFORMED_COOKIE


def tampered() -> Iterator[tuple[str, str]]:
    """A good value, spoiled in every part of it."""
    value = sealed()
    raw = bytearray(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
    for end in (0, 1, 4, 5, 36, 37, 52, len(raw) // 2, len(raw) - 1):
        yield f"cut to {end} bytes", encoded(raw[:end])
    for position in (0, 1, 4, 5, 20, 36, 37, len(raw) - 17, len(raw) - 16, len(raw) - 1):
        yield f"byte {position} flipped", encoded(raw[:position] + bytes((raw[position] ^ 1,)) + raw[position + 1 :])
    for version in (0, 1, 3, 255):
        yield f"version {version}", encoded(bytes((version,)) + raw[1:])
    yield "a byte more", encoded(raw + b"\0")
    yield "another key of ours", sealed(key=RETIRED)
    yield "a low-order point", encoded(raw[:5] + bytes(32) + raw[37:])
    yield "a point not on the curve", encoded(raw[:5] + b"\xff" * 32 + raw[37:])
    yield "all zero behind the key id", encoded(raw[:5] + bytes(len(raw) - 5))
    yield "nothing but the key id", encoded(bytes((2,)) + public_key_id(KEY.public_key()))


@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in tampered()])
async def test_a13_a_tampered_value(value: str) -> None:
    """Every change is noticed, and nobody is asked about it."""
    fortress = Fortress()
    assert await fortress.refused(with_cookies(f"{COOKIE}={value}")) in DEFECTS | {Reason.NO_CREDENTIALS}
    assert fortress.server.asked == []


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(sealed(cookie="__Host-Http-shop-csrf"), id="another cookie of the app"),
        pytest.param(sealed(cookie="__Secure-shop-rt"), id="the refresh token's"),
        pytest.param(sealed(app="bank"), id="another app"),
        pytest.param(sealed(app="bank", cookie="__Host-Http-bank-at"), id="another app's cookie"),
        pytest.param(sealed(app="", cookie=""), id="nobody's"),
    ],
)
async def test_a14_a_value_moved_to_another_cookie(value: str) -> None:
    """A value opens in the cookie and the app it was sealed for, and nowhere else."""
    assert await Fortress().refused(with_cookies(f"{COOKIE}={value}")) is Reason.UNDECRYPTABLE_COOKIE


async def test_a15_a_replay_with_a_retired_key_or_after_the_token_ended() -> None:
    """A key that is no longer held opens nothing; a token that was revoked is inactive when it is asked about."""
    fortress = Fortress()
    assert await fortress.refused(with_cookies(f"{COOKIE}={sealed(key=RETIRED)}")) is Reason.UNKNOWN_COOKIE_KEY
    await fortress.passed(with_cookies(GOOD))
    fortress.server.introspects("", status=204)
    fortress.server.clock.now += 61
    assert await fortress.refused(with_cookies(GOOD)) is Reason.TOKEN_INACTIVE


async def test_a16_a_cookie_tossed_by_a_sibling_domain() -> None:
    """Browsers send the one with the longer path first; beside the true one it is a contradiction."""
    for line in (f"{COOKIE}=tossed; {GOOD}", f"{GOOD}; {COOKIE}=tossed", f"{COOKIE}=; {GOOD}"):
        assert await Fortress().refused(with_cookies(line)) is Reason.AMBIGUOUS_COOKIE


@pytest.mark.parametrize("count", [201, 2_000, 20_000])
async def test_a17_very_many_cookies(count: int) -> None:
    """They are counted, not read."""
    assert await Fortress().refused(with_cookies("a=1;" * count + GOOD)) is Reason.MALFORMED_REQUEST
    assert CookieHeader(("=,;" * count,), comma_joined=True).excessive


@pytest.mark.parametrize("hostile", ["x\r\nEvil: 1", "a b", "a,b", "", "é", "a" * 100 + "\n"])
async def test_w9_a_hostile_plaintext(hostile: str) -> None:
    """Whoever has the public key can seal anything; what is no token goes nowhere."""
    fortress = Fortress()
    assert await fortress.refused(with_cookies(f"{COOKIE}={sealed(at=hostile)}")) is Reason.MALFORMED_COOKIE
    for text in (b"", b"{}", b"[]", b"null", b'{"at":1}', b"\xff", b'{"at":"a","iat":"1","sid":"s"}', b"[" * 10_000):
        assert await fortress.refused(with_cookies(f"{COOKIE}={sealed(text or b' ')}")) in DEFECTS | {
            Reason.MALFORMED_REQUEST
        }
    assert fortress.server.asked == []
