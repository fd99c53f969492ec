"""Sealed cookies: what was sealed opens, and nothing else does, whatever was done to it."""

import base64
import itertools
import json
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxy_world.asking import UNHURRIED

from extauthz.cookies import hpke
from extauthz.cookies.aes_gcm import KeyRing
from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.cookies.hpke import Opener, PrivateKey, Sealer
from extauthz.cookies.keys import new_key_pair, read_private_key
from extauthz.cookies.purpose import Purpose

VECTORS = Path(__file__).parent.parent / "vectors"
KNOWN: list[dict[str, str]] = json.loads((VECTORS / "hpke.json").read_text())
PURPOSE = Purpose("shop", "__Host-Http-shop-at")
TEXT = b"twenty bytes of text"
OPENERS: tuple[PrivateKey, ...] = tuple(
    read_private_key(new_key_pair(kind)[0]) for kind in ("x25519", "p-256", "x25519", "p-256")
)
RINGS = (bytes(range(32)), bytes(range(1, 33)))


@dataclass(frozen=True)
class Format:
    """One way to seal: `seal` and `open` match, `foreign` seals the same text with another key."""

    name: str
    seal: Callable[[bytes], str]
    open: Callable[[str], bytes]
    foreign: Callable[[bytes], str]
    other_app: Callable[[str], bytes]
    other_cookie: Callable[[str], bytes]
    share: int  # bytes of the body before the ciphertext


def hpke_format(name: str, key: PrivateKey, foreign: PrivateKey, share: int) -> Format:
    """HPKE to `key`."""
    return Format(
        name,
        Sealer(key.public_key(), PURPOSE).seal,
        Opener([key], PURPOSE).open,
        Sealer(foreign.public_key(), PURPOSE).seal,
        Opener([key], Purpose("bank", PURPOSE.cookie)).open,
        Opener([key], Purpose("shop", "__Secure-shop-rt")).open,
        share,
    )


def aes_format() -> Format:
    """AES-256-GCM under a key ring."""
    ring, foreign = KeyRing([RINGS[0]]), KeyRing([RINGS[1]])
    return Format(
        "aes-gcm",
        lambda text: ring.seal(text, PURPOSE),
        lambda value: ring.open(value, PURPOSE),
        lambda text: foreign.seal(text, PURPOSE),
        lambda value: ring.open(value, Purpose("bank", PURPOSE.cookie)),
        lambda value: ring.open(value, Purpose("shop", "__Secure-shop-rt")),
        12,
    )


FORMATS = [
    hpke_format("x25519", OPENERS[0], OPENERS[2], 32),
    hpke_format("p-256", OPENERS[1], OPENERS[3], 65),
    aes_format(),
]
each_format = pytest.mark.parametrize("format_", FORMATS, ids=lambda f: f.name)


@each_format
@UNHURRIED
@given(text=st.binary(min_size=1, max_size=2000))
def test_what_was_sealed_opens(format_: Format, text: bytes) -> None:
    """Opening gives back what was sealed, byte for byte, from characters a cookie may hold."""
    sealed = format_.seal(text)
    assert format_.open(sealed) == text
    assert set(sealed) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@each_format
def test_sealing_twice_gives_two_values(format_: Format) -> None:
    """Equal texts do not show in equal cookies."""
    assert format_.seal(TEXT) != format_.seal(TEXT)


@each_format
def test_a_cookie_may_be_4096_characters(format_: Format) -> None:
    """The largest value a browser keeps opens, and one of more than 4096 characters does not."""
    overhead = 5 + format_.share + 16
    largest = format_.seal(b"x" * (3072 - overhead))
    assert len(largest) == 4096
    assert format_.open(largest)
    assert _defect(format_.open, format_.seal(b"x" * (3073 - overhead))) is Defect.MALFORMED


@each_format
@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_each_byte_counts(format_: Format, bit: int) -> None:
    """A bit flipped in any byte spoils the cookie: in the version, in the key id, or in what is sealed."""
    raw = _raw(format_.seal(TEXT))
    defects = [_defect(format_.open, _value(_flipped(raw, at, bit))) for at in range(len(raw))]
    expected = [Defect.MALFORMED] + [Defect.UNKNOWN_KEY] * 4 + [Defect.UNDECRYPTABLE] * (len(raw) - 5)
    assert defects == expected


@each_format
def test_cut_off_anywhere(format_: Format) -> None:
    """No beginning of a cookie opens, nor one with a byte more: not of the form, or not decryptable."""
    raw = _raw(format_.seal(TEXT))
    for length in range(len(raw)):
        expected = {Defect.MALFORMED} if length < 5 + 12 else {Defect.MALFORMED, Defect.UNDECRYPTABLE}
        assert _defect(format_.open, _value(raw[:length])) in expected
    assert _defect(format_.open, _value(raw + b"x")) is Defect.UNDECRYPTABLE


SPELLINGS: dict[str, Callable[[str], str]] = {
    "padded": lambda value: value + "=" * (-len(value) % 4),
    "one padding character": lambda value: value + "=",
    "with a newline at the end": lambda value: value + "\n",
    "with a newline inside": lambda value: value[:9] + "\n" + value[9:],
    "with a blank before": lambda value: " " + value,
    "with a NUL at the end": lambda value: value + "\0",
    "with a foreign character inside": lambda value: value[:9] + "*" + value[9:],
    "in quotes": lambda value: f'"{value}"',
    "URL-encoded": lambda value: value + "%3D",
    "with another last character of the same bytes": lambda value: value[:-1] + chr(ord(value[-1]) + 1),
    "empty": lambda _: "",
    "a single character": lambda _: "A",
    "not ASCII": lambda value: value[:-1] + "é",
    "not UTF-8": lambda value: value[:-1] + "\udcff",
    "with a full-width letter": lambda value: "\uff21" + value[1:],
    "4097 characters": lambda value: value.ljust(4097, "A"),
    "a megabyte": lambda value: value * 10_000,
    "version 1": lambda value: _value(b"\x01" + _raw(value)[1:]),
    "version 0": lambda value: _value(b"\x00" + _raw(value)[1:]),
    "zeros": lambda value: _value(bytes(len(_raw(value)))),
}


@each_format
@pytest.mark.parametrize("spoil", [pytest.param(spoil, id=name) for name, spoil in SPELLINGS.items()])
def test_one_value_has_one_spelling(format_: Format, spoil: Callable[[str], str]) -> None:
    """What sealing would not have written is malformed, even where a lenient decoder would read the same bytes."""
    # 20 bytes of text leave unused bits in the last character of every format; its last bit is one of them.
    assert _defect(format_.open, spoil(format_.seal(TEXT))) is Defect.MALFORMED


@each_format
def test_the_other_base64_alphabet(format_: Format) -> None:
    """Plus and slash for hyphen and underscore are another spelling, and refused."""
    sealed = next(value for value in (format_.seal(TEXT) for _ in itertools.count()) if {"-", "_"} & set(value))
    assert _defect(format_.open, sealed.replace("-", "+").replace("_", "/")) is Defect.MALFORMED


@each_format
def test_another_key(format_: Format) -> None:
    """A value under a key we do not hold is named so, and one that pretends to be under ours does not decrypt."""
    foreign = format_.foreign(TEXT)
    assert _defect(format_.open, foreign) is Defect.UNKNOWN_KEY
    disguised = _value(_raw(format_.seal(TEXT))[:5] + _raw(foreign)[5:])
    assert _defect(format_.open, disguised) is Defect.UNDECRYPTABLE


@each_format
def test_another_purpose(format_: Format) -> None:
    """A cookie of another app, or of another name, does not open even under the same key."""
    sealed = format_.seal(TEXT)
    assert _defect(format_.other_app, sealed) is Defect.UNDECRYPTABLE
    assert _defect(format_.other_cookie, sealed) is Defect.UNDECRYPTABLE


@pytest.mark.parametrize("format_", FORMATS[:2], ids=lambda f: f.name)
@pytest.mark.parametrize("filler", [b"\x00", b"\x01", b"\xff"])
def test_a_share_that_is_no_point(format_: Format, filler: bytes) -> None:
    """A low-order share, or one that is no point of the curve, is a cookie that does not decrypt, not a fault."""
    raw = _raw(format_.seal(TEXT))
    for first in (raw[5:6], b"\x02", b"\x03", b"\x04", b"\x00"):
        share = (first + filler * format_.share)[: format_.share]
        assert _defect(format_.open, _value(raw[:5] + share + raw[5 + format_.share :])) is Defect.UNDECRYPTABLE


def test_rotation_of_hpke_keys() -> None:
    """With the old key and the new one, of whatever types, cookies of both open; without the old one its do not."""
    old, new = OPENERS[0], OPENERS[1]
    cookies = [Sealer(key.public_key(), PURPOSE).seal(TEXT) for key in (old, new)]
    assert [Opener([new, old], PURPOSE).open(cookie) for cookie in cookies] == [TEXT, TEXT]
    assert _defect(Opener([new], PURPOSE).open, cookies[0]) is Defect.UNKNOWN_KEY


def test_rotation_of_session_keys() -> None:
    """The first key of a ring seals, and any of them opens."""
    old, new = RINGS
    before = KeyRing([old]).seal(TEXT, PURPOSE)
    ring = KeyRing([new, old])
    assert ring.open(before, PURPOSE) == TEXT
    assert KeyRing([new]).open(ring.seal(TEXT, PURPOSE), PURPOSE) == TEXT


@pytest.mark.parametrize("keys", [[], [b"short"], [RINGS[0], b""], [bytes(33)]])
def test_a_ring_of_wrong_keys_cannot_be_made(keys: list[bytes]) -> None:
    """A ring has at least one key, and each has 32 bytes."""
    with pytest.raises(ValueError, match="32 bytes"):
        KeyRing(keys)


def test_the_cheap_check_is_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """`admit` looks at form and key id and never reaches the elliptic curve; `open` does."""
    sealed = Sealer(OPENERS[0].public_key(), PURPOSE).seal(TEXT)
    opener = Opener([OPENERS[0]], PURPOSE)

    def refuse(key: object) -> None:
        raise AssertionError(f"the elliptic curve was reached with a {type(key).__name__}")

    monkeypatch.setattr(hpke, "suite", refuse)
    opener.admit(sealed)
    assert _defect(opener.admit, sealed + "=") is Defect.MALFORMED
    assert _defect(Opener([OPENERS[1]], PURPOSE).admit, sealed) is Defect.UNKNOWN_KEY
    with pytest.raises(AssertionError, match="elliptic curve"):
        opener.open(sealed)


@pytest.mark.parametrize(
    "vector", json.loads((VECTORS / "hpke.json").read_text()), ids=lambda v: f"{v['kind']} {v['app']}"
)
def test_vectors_of_another_implementation_open(vector: dict[str, str]) -> None:
    """What an HPKE written from the RFC alone has sealed opens here."""
    key = read_private_key(vector["private_key"].encode())
    opener = Opener([key], Purpose(vector["app"], vector["cookie"]))
    assert opener.open(vector["sealed"]) == vector["plaintext"].encode()


def test_the_vectors_are_what_their_maker_makes() -> None:
    """The checked-in vectors come from the script beside them, today as on the day they were made."""
    made = runpy.run_path(str(VECTORS / "make_hpke.py"))["vectors"]()
    assert made == KNOWN


def _defect(open_: Callable[[str], object], value: str) -> Defect:
    with pytest.raises(InvalidCookie) as refused:
        open_(value)
    assert not value or value not in str(refused.value)
    return refused.value.defect


def _raw(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def _value(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _flipped(raw: bytes, at: int, bit: int) -> bytes:
    return raw[:at] + bytes((raw[at] ^ bit,)) + raw[at + 1 :]
