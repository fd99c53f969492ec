"""Cookies sealed to a public key: HPKE, RFC 9180, https://www.rfc-editor.org/rfc/rfc9180.

The OAuth Agent holds the public key, the OAuth Proxy the private ones: an agent that is broken into cannot read
the cookies it has set. The suite follows the key type: X25519 or P-256, with HKDF-SHA256 and AES-256-GCM.

Public-key encryption does not tell who sealed. What comes out of `open` is a stranger's text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from extauthz.cookies.envelope import Defect, InvalidCookie, key_id, pack, unpack
from extauthz.cookies.purpose import Purpose

VERSION = 2  # 1 is taken by the symmetric format of earlier token handlers
MIN_BODY = 32 + 1 + 16  # X25519 share, one byte of text, AES-GCM tag; a P-256 share is longer

PrivateKey = x25519.X25519PrivateKey | ec.EllipticCurvePrivateKey
PublicKey = x25519.X25519PublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals with one public key."""

    key: PublicKey
    purpose: Purpose

    def seal(self, plaintext: bytes) -> str:
        """The cookie value: 184 characters for 80 bytes of plaintext with X25519."""
        body = suite(self.key).encrypt(plaintext, self.key, info=self.purpose.info)
        return pack(VERSION, public_key_id(self.key), body)


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens with any of several private keys, so that keys can be rotated without logging anyone out."""

    keys: Sequence[PrivateKey] = field(repr=False)
    purpose: Purpose
    _by_id: dict[bytes, PrivateKey] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {public_key_id(key.public_key()): key for key in self.keys})

    def admit(self, value: str) -> None:
        """The cheap check, no elliptic curve yet. Raises InvalidCookie."""
        self._take(value)

    def open(self, value: str) -> bytes:
        """The plaintext. Raises InvalidCookie for every defect."""
        key, body = self._take(value)
        try:
            return suite(key).decrypt(body, key, info=self.purpose.info)
        except (InvalidTag, ValueError) as error:
            raise InvalidCookie(Defect.UNDECRYPTABLE) from error

    def _take(self, value: str) -> tuple[PrivateKey, bytes]:
        name, body = unpack(value, VERSION, min_body=MIN_BODY)
        key = self._by_id.get(name)
        if key is None:
            raise InvalidCookie(Defect.UNKNOWN_KEY)
        return key, body


def suite(key: PrivateKey | PublicKey) -> hpke.Suite:
    """The HPKE suite for a key of this type."""
    x = isinstance(key, x25519.X25519PrivateKey | x25519.X25519PublicKey)
    kem = hpke.KEM.X25519 if x else hpke.KEM.P256
    return hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def public_key_id(key: PublicKey) -> bytes:
    """The key id on the wire, from the key's SubjectPublicKeyInfo."""
    return key_id(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
