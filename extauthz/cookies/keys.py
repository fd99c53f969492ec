"""Reading and making the keys that cookies are sealed with. Errors name what is wrong, never what is inside."""

import base64
import binascii
import hashlib
import os
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from extauthz.cookies.aes_gcm import KEY_BYTES
from extauthz.cookies.hpke import PrivateKey, PublicKey

NEEDED = "an X25519 or P-256 key is needed"
# SHA-256 of keys that stand in the published examples and defaults of other token handlers.
PUBLISHED = frozenset(
    {
        "21d50f1319d2d0c293c04ced3d7dd7f10ab058e81301498c7d876aebef386c88",
        "3c65ab93e48174439b1b0b79a1194fb4e928c14f93b928f9689d566a06a4ae51",
    }
)


class UnusableKey(ValueError):
    """A key file whose contents cannot serve; the message says why."""


def read_private_key(pem: bytes) -> PrivateKey:
    """A private key for the proxy, from unencrypted PKCS#8 PEM."""
    key = read_pem(pem, NEEDED)
    if isinstance(key, x25519.X25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise UnusableKey(f"a private key of the wrong type; {NEEDED}")


def read_pem(pem: bytes, needed: str) -> PrivateKeyTypes:
    """A private key of any type, from unencrypted PEM. `needed`: which types would serve."""
    if b"PRIVATE KEY-----" not in pem:
        raise UnusableKey(f"no PEM private key in it; {needed}")
    try:
        return load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise UnusableKey("the private key is encrypted with a password; decrypt it first") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKey("the PEM private key cannot be read") from error


def read_public_key(pem: bytes) -> PublicKey:
    """The public key for the agent, from SubjectPublicKeyInfo PEM."""
    if b"PRIVATE KEY-----" in pem:
        raise UnusableKey("a private key where the public one belongs; the agent must not hold it")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKey(f"no readable PEM public key in it; {NEEDED}") from error
    if isinstance(key, x25519.X25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise UnusableKey(f"a public key of the wrong type; {NEEDED}")


def read_session_key(text: bytes) -> bytes:
    """The agent's own key: 32 bytes in base64, of either alphabet, padded or not."""
    digits = text.strip().rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        key = base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except binascii.Error as error:
        raise UnusableKey("not base64; 32 random bytes in base64 are needed") from error
    if len(key) != KEY_BYTES:
        raise UnusableKey(f"{len(key)} bytes; 32 random bytes in base64 are needed")
    return key


def read_encryption_key(text: bytes) -> bytes:
    """The key agent and proxy share in the v1 format: 64 hexadecimal digits."""
    digits = text.strip()
    if not re.fullmatch(rb"[0-9A-Fa-f]*", digits):
        raise UnusableKey("not hexadecimal; 64 digits are needed: openssl rand -hex 32")
    if len(digits) != 2 * KEY_BYTES:
        raise UnusableKey(f"{len(digits)} digits; 64 are needed: openssl rand -hex 32")
    key = bytes.fromhex(digits.decode())
    if hashlib.sha256(key).hexdigest() in PUBLISHED or len(set(key)) == 1:
        raise UnusableKey("everybody knows this key from examples; make one of your own: openssl rand -hex 32")
    return key


def new_key_pair(kind: str) -> tuple[bytes, bytes]:
    """A private and a public key in PEM; `kind` is "x25519" or "p-256"."""
    key: PrivateKey
    key = x25519.X25519PrivateKey.generate() if kind == "x25519" else ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def new_session_key() -> bytes:
    """A key for the agent's own cookies, as `read_session_key` reads it."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)) + b"\n"
