"""Sealed values: what was sealed opens; what was changed in any one place does not, and the client cannot tell why."""

import asyncio
import base64
import os
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from proxy_world.asking import COOKIE, SHOP, UNHURRIED, ask
from proxy_world.fakes import Proxy

from extauthz.authorizer import OpensCookies
from extauthz.cookies.access_token import TOKEN, AccessToken, SealedAccessTokens
from extauthz.cookies.aes_gcm import KeyRing
from extauthz.cookies.envelope import InvalidCookie
from extauthz.cookies.hpke import Opener, PrivateKey, Sealer
from extauthz.cookies.keys import new_key_pair, read_private_key
from extauthz.cookies.purpose import Purpose
from extauthz.cookies.v1 import V1Cookies
from extauthz.decision import Deny
from extauthz.policy import Policy
from extauthz.reason import V1_ANSWERS, Reason

PURPOSE = Purpose("shop", COOKIE)
LETTERS = string.ascii_letters + string.digits + "-_"
# What base64url does not have: the other alphabet, padding, letters that look alike, bytes that are no text.
FOREIGN = "+/=!%.~\"' \t\n\0\u00e9\uff21\u212a\udcff"


@dataclass(frozen=True)
class Format:
    """One way to seal bytes."""

    name: str
    seal: Callable[[bytes], str]
    open: Callable[[str], object]


@dataclass(frozen=True)
class TokenFormat:
    """One way to seal access tokens, with the policy of an app that uses it."""

    name: str
    seal: Callable[[str], str]
    opener: OpensCookies
    policy: Policy


def unpadded(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw_of(value: str) -> bytes:
    """The bytes again."""
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def seal_v1(key: bytes, plaintext: bytes) -> str:
    """As the earlier token handlers do it."""
    iv = os.urandom(12)
    return unpadded(b"\x01" + iv + AESGCM(key).encrypt(iv, plaintext, None))


def new_key(kind: str) -> PrivateKey:
    """A private key."""
    return read_private_key(new_key_pair(kind)[0])


X25519, P256 = new_key("x25519"), new_key("p-256")
RING, V1_KEY = KeyRing([os.urandom(32), os.urandom(32)]), os.urandom(32)
V1 = V1Cookies([os.urandom(32), V1_KEY])
SEALED = SealedAccessTokens(Opener([P256, X25519], PURPOSE))
V1_SHOP = replace(SHOP, answers=V1_ANSWERS)

FORMATS = [
    Format("x25519", Sealer(X25519.public_key(), PURPOSE).seal, Opener([P256, X25519], PURPOSE).open),
    Format("p-256", Sealer(P256.public_key(), PURPOSE).seal, Opener([P256, X25519], PURPOSE).open),
    Format("aes-gcm", lambda text: RING.seal(text, PURPOSE), lambda value: RING.open(value, PURPOSE)),
    Format("v1", lambda text: seal_v1(V1_KEY, text), lambda value: V1.open_text(value).encode()),
]


def sealer(key: PrivateKey) -> Callable[[str], str]:
    """Seals access tokens to a key."""
    return lambda token: Sealer(key.public_key(), PURPOSE).seal(AccessToken(token=token).to_bytes())


TOKEN_FORMATS = [
    TokenFormat("x25519", sealer(X25519), SEALED, SHOP),
    TokenFormat("p-256", sealer(P256), SEALED, SHOP),
    TokenFormat("v1", lambda token: seal_v1(V1_KEY, token.encode()), V1, V1_SHOP),
]
each_format = pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
each_token_format = pytest.mark.parametrize("format_", TOKEN_FORMATS, ids=lambda format_: format_.name)


@each_format
@UNHURRIED
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=600).map(str.encode))
def test_what_was_sealed_opens(format_: Format, text: bytes) -> None:
    """Every text, byte for byte, from letters any cookie may hold."""
    value = format_.seal(text)
    assert format_.open(value) == text
    assert set(value) <= set(LETTERS)


@each_token_format
@UNHURRIED
@given(token=st.from_regex(TOKEN, fullmatch=True).filter(lambda token: len(token) < 1000))
def test_every_token_arrives(format_: TokenFormat, token: str) -> None:
    """Whatever may stand behind Bearer comes out as it went in."""
    value = format_.seal(token)
    format_.opener.admit(value)
    assert format_.opener.open(value).token == token


@each_format
def test_no_other_byte_in_any_place(format_: Format) -> None:
    """Each byte changed to each of the 255 others: the value does not open, and nothing but InvalidCookie is raised."""
    raw = raw_of(format_.seal(b"twenty bytes of text"))
    for at in range(len(raw)):
        for byte in range(256):
            if byte != raw[at]:
                refused(format_.open, unpadded(raw[:at] + bytes([byte]) + raw[at + 1 :]))


@each_format
def test_no_other_letter_in_any_place(format_: Format) -> None:
    """Each letter changed to every other of the alphabet and to foreign ones, left out, or doubled: nothing opens."""
    value = format_.seal(b"xy")
    for at, letter in enumerate(value):
        for other in (LETTERS + FOREIGN).replace(letter, ""):
            refused(format_.open, value[:at] + other + value[at + 1 :])
        refused(format_.open, value[:at] + value[at + 1 :])
        refused(format_.open, value[: at + 1] + value[at:])


@each_format
@UNHURRIED
@given(value=st.text(st.characters(exclude_categories=()) | st.sampled_from(LETTERS), max_size=300))
def test_no_text_opens_by_itself(format_: Format, value: str) -> None:
    """What nobody sealed is refused, whatever it is."""
    refused(format_.open, value)


@each_token_format
def test_all_bad_values_get_one_answer(format_: TokenFormat) -> None:
    """Whatever is wrong with a cookie, and in whatever place, the client is told the same: status, headers and body."""
    proxy = Proxy((format_.policy,))
    proxy.use(format_.opener)
    value = format_.seal("token")
    answers: set[tuple[object, ...]] = set()
    reasons: set[Reason] = set()

    async def ask_all() -> None:
        for bad in changed(value):
            decision = await proxy.settle(ask(cookies=(f"a=1; {COOKIE}={bad}; b=2",)))
            assert isinstance(decision, Deny), bad
            answers.add((decision.status, decision.headers, decision.body))
            reasons.add(decision.reason)

    asyncio.run(ask_all())
    assert len(answers) == 1
    assert answers.pop()[0] == 401
    assert reasons >= {Reason.MALFORMED_COOKIE, Reason.UNDECRYPTABLE_COOKIE}
    assert not proxy.upstream.asked
    assert not proxy.report.troubles
    assert len(proxy.cache) == len(proxy.refusals) == 0


@each_token_format
def test_a_bad_value_and_a_worthless_token_look_alike(format_: TokenFormat) -> None:
    """The client cannot tell whether a cookie opened: every reason against a credential has the same answer."""
    bad = {Reason.MALFORMED_COOKIE, Reason.UNKNOWN_COOKIE_KEY, Reason.UNDECRYPTABLE_COOKIE, Reason.AMBIGUOUS_COOKIE}
    worthless = {Reason.TOKEN_INACTIVE, Reason.TOKEN_EXPIRED, Reason.TOKEN_INVALID}
    assert len({format_.policy.answers[reason] for reason in bad | worthless}) == 1


def changed(value: str) -> Iterator[str]:
    """A good value spoilt once: a letter in each place, a byte in each place, the ends, and other things altogether."""
    for at, letter in enumerate(value):
        yield value[:at] + LETTERS[(LETTERS.index(letter) + 1) % 64] + value[at + 1 :]
        yield value[:at] + LETTERS[(LETTERS.index(letter) + 32) % 64] + value[at + 1 :]
        yield value[:at] + FOREIGN[at % len(FOREIGN)] + value[at + 1 :]
        yield value[: at + 1] if at + 1 < len(value) else value + "A"
    yield from ("A", "=", value * 2, value * 100, "AgAAAAAA" * 20, "AQ" * 40, f'"{value}"')


def refused(open_: Callable[[str], object], value: str) -> None:
    """It raises InvalidCookie; anything else comes through to the test."""
    try:
        opened = open_(value)
    except InvalidCookie:
        return
    raise AssertionError(f"{value!r} opened to {opened!r}")
