"""What a browser could send as the value of a sealed cookie, to every opener there is."""

import base64
from collections.abc import Callable
from functools import partial

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from extauthz.cookies.access_token import AccessToken, SealedAccessTokens
from extauthz.cookies.aes_gcm import KeyRing
from extauthz.cookies.envelope import InvalidCookie, decode
from extauthz.cookies.hpke import Opener, PrivateKey, Sealer
from extauthz.cookies.purpose import Purpose
from extauthz.cookies.v1 import V1Cookies
from fuzz.promises import promise

PURPOSE = Purpose("shop", "__Host-Http-shop-at")
# The same keys on every run, so that an input that fails fails again.
KEYS: tuple[PrivateKey, ...] = (
    x25519.X25519PrivateKey.from_private_bytes(bytes(range(32))),
    ec.derive_private_key(20_261_122, ec.SECP256R1()),
)
SECRETS = (bytes(range(32)), bytes(range(1, 33)))
SEALED, RING, V1 = SealedAccessTokens(Opener(KEYS, PURPOSE)), KeyRing(SECRETS), V1Cookies(SECRETS)
IV = bytes(12)
OPENERS: tuple[Callable[[str], object], ...] = (
    SEALED.admit,
    SEALED.open,
    lambda value: RING.open(value, PURPOSE),
    V1.admit,
    V1.open,
    V1.open_text,
    decode,
)


def seeds() -> list[bytes]:
    """Good values of every format, plaintexts good and bad, and beginnings of both."""
    text = AccessToken(token="opaque", issued_at=1, session_id="s", marks=("m" * 16,), began=1).to_bytes()  # noqa: S106  # of nothing
    values = [Sealer(key.public_key(), PURPOSE).seal(text) for key in KEYS]
    values += [RING.seal(text, PURPOSE), v1_value(b"opaque"), v1_value(b"\xff"), "", "AA", "AgAA", "="]
    plain = [text, b'{"at":"a b","iat":1,"sid":""}', b'{"at":"a","iat":true,"sid":""}', b"[" * 3000, b'{"at":1e999}']
    return [*(value.encode() for value in values), *plain]


def run(data: bytes) -> None:
    """Neither as a value nor as a plaintext does it raise anything but InvalidCookie. Raises BrokenPromise."""
    value = data.decode("utf-8", "surrogateescape")
    for opener in OPENERS:
        _open(partial(opener, value))
    _open(partial(AccessToken.from_bytes, data))
    if data:
        promise(RING.open(RING.seal(data, PURPOSE), PURPOSE) == data, "what was sealed opens")
        _open(partial(V1.open, v1_value(data)))


def v1_value(plaintext: bytes) -> str:
    """A value as the earlier token handlers seal it."""
    raw = b"\x01" + IV + AESGCM(SECRETS[0]).encrypt(IV, plaintext, None)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _open(open_: Callable[[], object]) -> None:
    try:
        opened = open_()
    except InvalidCookie as error:
        promise(error.args == (error.defect.value,), "a defect, and nothing of the value")
    else:
        promise(opened is None or isinstance(opened, AccessToken | bytes | str), f"a value: {type(opened)}")
