"""Floods of worthless credentials: they cost little, leave little behind, and push no session out.

A request of a session stands beside each flood: before it as a guest who is let in, after it as one who is known.
"""

import base64
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from proxy_world.asking import COOKIE, SHOP, ask
from proxy_world.fakes import Proxy

from extauthz.cookies import hpke
from extauthz.cookies.access_token import AccessToken, SealedAccessTokens
from extauthz.cookies.hpke import Opener, PrivateKey, Sealer
from extauthz.cookies.keys import new_key_pair, read_private_key
from extauthz.cookies.purpose import Purpose
from extauthz.decision import Allow, Deny
from extauthz.outcome import Refused
from extauthz.policy import BearerMode
from extauthz.reason import Reason
from extauthz.request import Request

FLOOD = 100_000
PURPOSE = Purpose("shop", COOKIE)
KEY = read_private_key(new_key_pair("x25519")[0])
GOOD = Sealer(KEY.public_key(), PURPOSE).seal(AccessToken(token="opaque").to_bytes())

pytestmark = pytest.mark.anyio


@dataclass
class Counting:
    """The real opener, counting how often it came to open."""

    inner: SealedAccessTokens
    opened: int = 0

    def admit(self, value: str) -> None:
        """The cheap check."""
        self.inner.admit(value)

    def open(self, value: str) -> AccessToken:
        """The expensive one."""
        self.opened += 1
        return self.inner.open(value)


@dataclass
class Curve:
    """How often a cipher suite was asked for, and with it the elliptic curve."""

    suite: Callable[[PrivateKey], object]
    reached: int = 0

    def __call__(self, key: PrivateKey) -> object:
        self.reached += 1
        return self.suite(key)


@dataclass
class Flooded:
    """A proxy with one session that it knows, and what it has seen of everybody else."""

    proxy: Proxy
    session: Request
    reasons: set[Reason] = field(default_factory=set)

    @classmethod
    async def with_session(cls, proxy: Proxy, session: Request) -> "Flooded":
        """Let the session in once."""
        assert isinstance(await proxy.settle(session), Allow)
        return cls(proxy, session)

    async def by(self, request: Request) -> None:
        """One drop, which is refused."""
        decision = await self.proxy.settle(request)
        assert isinstance(decision, Deny)
        self.reasons.add(decision.reason)

    def still_serves(self) -> None:
        """The session is answered at once, from memory."""
        asked = len(self.proxy.upstream.asked)
        assert isinstance(self.proxy.authorizer.decide(self.session), Allow)
        assert len(self.proxy.upstream.asked) == asked
        assert len(self.proxy.cache) == 1


def garbage(number: int) -> Iterator[str]:
    """Values that look like a cookie of ours in one respect or another, and of which none is under our key."""
    chance = random.Random(number)  # noqa: S311  # garbage, and the same each time
    key = hpke.public_key_id(KEY.public_key())
    for index in range(number):
        raw = chance.randbytes(chance.randrange(60, 120))
        yield (
            _text(raw),  # any version
            _text(b"\x02" + raw),  # our version, a key nobody has
            _text(b"\x01" + key + raw),  # another version, our key
            _text(b"\x02" + key + raw[:40]),  # too short for the cipher
            _text(b"\x02" + key + raw)[:-1] + "*",  # no base64
            _text(b"\x02" + key + raw) + "=",  # padded
            _text(b"\x02" + key + raw) + "A" * 4096,  # too long
            raw.decode("latin-1").translate({ord(";"): None, ord(","): None}),
        )[index % 8]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def test_garbage_costs_no_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cookies that the cheap check refuses reach neither opener nor curve, and nothing of them is remembered."""
    proxy = Proxy()
    opener = Counting(SealedAccessTokens(Opener([KEY], PURPOSE)))
    proxy.use(opener)
    flooded = await Flooded.with_session(proxy, ask(cookies=(f"{COOKIE}={GOOD}",)))
    curve = Curve(hpke.suite)
    monkeypatch.setattr(hpke, "suite", curve)
    for value in garbage(FLOOD):
        await flooded.by(ask(cookies=(f"a=1; {COOKIE}={value}",)))
    assert (opener.opened, curve.reached) == (1, 0)
    assert len(proxy.refusals) == 0
    assert flooded.reasons == {Reason.MALFORMED_COOKIE, Reason.UNKNOWN_COOKIE_KEY}
    flooded.still_serves()


async def test_forgeries_under_our_key_are_not_remembered() -> None:
    """Cookies that name our key and do not decrypt are opened each time, and leave nothing behind."""
    proxy = Proxy()
    opener = Counting(SealedAccessTokens(Opener([KEY], PURPOSE)))
    proxy.use(opener)
    flooded = await Flooded.with_session(proxy, ask(cookies=(f"{COOKIE}={GOOD}",)))
    head = b"\x02" + hpke.public_key_id(KEY.public_key())
    for _ in range(2000):
        await flooded.by(ask(cookies=(f"{COOKIE}={_text(head + os.urandom(80))}",)))
    assert opener.opened == 2001
    assert len(proxy.refusals) == 0
    assert flooded.reasons == {Reason.UNDECRYPTABLE_COOKIE}
    flooded.still_serves()


async def test_worthless_tokens_well_sealed_push_no_session_out() -> None:
    """Who has the public key can seal any token: each is asked for once, and refusals are remembered by themselves."""
    proxy = Proxy()  # whose opener opens everything: sealing so many would take a minute
    flooded = await Flooded.with_session(proxy, ask())
    proxy.upstream.answer = Refused(Reason.TOKEN_INACTIVE)
    for number in range(FLOOD):
        await flooded.by(ask(cookies=(f"{COOKIE}=stranger-{number}",)))
    assert len(proxy.upstream.asked) == FLOOD + 1
    assert len(proxy.refusals) == 100  # as many as it may hold
    assert flooded.reasons == {Reason.TOKEN_INACTIVE}
    flooded.still_serves()


async def test_random_bearer_tokens_push_no_session_out() -> None:
    """Where clients may bring tokens of their own, made-up ones are remembered beside the sessions, not among them."""
    proxy = Proxy((replace(SHOP, bearer=BearerMode.INTROSPECT),))
    flooded = await Flooded.with_session(proxy, ask())
    proxy.upstream.answer = Refused(Reason.TOKEN_INACTIVE)
    for number in range(FLOOD):
        await flooded.by(ask(cookies=(), authorization=f"Bearer {number:032x}"))
    assert len(proxy.refusals) == 100
    assert flooded.reasons == {Reason.TOKEN_INACTIVE}
    flooded.still_serves()


async def test_the_same_worthless_token_is_asked_for_once() -> None:
    """One token over and over is answered from memory, however often it comes."""
    proxy = Proxy()
    flooded = await Flooded.with_session(proxy, ask())
    proxy.upstream.answer = Refused(Reason.TOKEN_INACTIVE)
    for _ in range(FLOOD // 10):
        await flooded.by(ask(cookies=(f"{COOKIE}=stranger",)))
    assert len(proxy.upstream.asked) == 2
    flooded.still_serves()
