"""A private key that signs JWTs, with the algorithm and the key id that go with it, and the public half to publish.

Errors name what is wrong with a key, never what is inside.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from extauthz.cookies.keys import UnusableKey

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

NEEDED = "an RSA (2048 bits or more), EC (P-256, P-384, P-521) or Ed25519 key is needed"
MIN_RSA_BITS = 2048  # RFC 7518 section 3.3
CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
# RFC 7638 section 3.2: what a thumbprint is made of; all else in a JWK may differ from one program to the next.
REQUIRED = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the algorithm it signs with."""

    private: PrivateKey = field(repr=False)
    algorithm: str

    def sign(self, claims: Mapping[str, object], *, typ: str, kid: str) -> str:
        """The claims as a JWT in compact form."""
        return jwt.encode(dict(claims), self.private, self.algorithm, headers={"typ": typ, "kid": kid})

    def thumbprint(self) -> str:
        """RFC 7638: a key id that anyone can compute from the public key."""
        canonical = json.dumps(self._public_members(), separators=(",", ":"), sort_keys=True)
        return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()

    def public_jwk(self, kid: str) -> dict[str, Any]:
        """The public half, as it is published (RFC 7517)."""
        return {**self._public_members(), "kid": kid, "use": "sig", "alg": self.algorithm}

    def _public_members(self) -> dict[str, Any]:
        members = json.loads(jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.private.public_key()))
        return {name: members[name] for name in REQUIRED[members["kty"]]}


def read_signing_key(pem: bytes) -> SigningKey:
    """A private key from unencrypted PEM; its type decides on the algorithm. Raises UnusableKey."""
    if b"PRIVATE KEY-----" not in pem:
        raise UnusableKey(f"no PEM private key in it; {NEEDED}")
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise UnusableKey("the private key is encrypted with a password; decrypt it first") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKey("the PEM private key cannot be read") from error
    match key:
        case rsa.RSAPrivateKey() if key.key_size >= MIN_RSA_BITS:
            return SigningKey(key, "RS256")
        case ec.EllipticCurvePrivateKey() if key.curve.name in CURVES:
            return SigningKey(key, CURVES[key.curve.name])
        case ed25519.Ed25519PrivateKey():
            return SigningKey(key, "EdDSA")
        case _:
            raise UnusableKey(f"a private key of the wrong type; {NEEDED}")
