"""The provider's signing keys: ES256, made at start, never stored."""

import base64
import hashlib
import json

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ALGORITHM = "ES256"


class SigningKey:
    """One P-256 key pair, named by its RFC 7638 thumbprint."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        public = ECAlgorithm.to_jwk(self._private.public_key(), as_dict=True)
        self.kid = thumbprint(public)
        self.public_jwk = {**public, "kid": self.kid, "use": "sig", "alg": ALGORITHM}

    def sign(self, claims: dict[str, object], typ: str) -> str:
        """Sign claims as a compact JWT."""
        return jwt.encode(claims, self._private, ALGORITHM, headers={"kid": self.kid, "typ": typ})


class KeyRing:
    """The key that signs, and the one before it, so that tokens outlive one rotation."""

    def __init__(self) -> None:
        self._keys = [SigningKey()]

    @property
    def current(self) -> SigningKey:
        """The key that signs."""
        return self._keys[0]

    def rotate(self) -> SigningKey:
        """Sign with a new key from now on; the key before the last one is forgotten."""
        self._keys = [SigningKey(), self._keys[0]]
        return self.current

    def jwks(self) -> dict[str, object]:
        """Return the public keys (RFC 7517)."""
        return {"keys": [key.public_jwk for key in self._keys]}

    def verify(self, token: str, issuer: str) -> dict[str, object] | None:
        """Return the claims of a JWT of ours, expired or not; None when it is not ours."""
        options: jwt.types.Options = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
        for key in jwt.PyJWKSet.from_dict(self.jwks()).keys:
            try:
                return jwt.decode(token, key, [ALGORITHM], issuer=issuer, options=options)
            except jwt.PyJWTError:
                continue
        return None


def thumbprint(jwk: dict[str, str]) -> str:
    """RFC 7638: the hash of the required members, in order, without white space."""
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.sha256(json.dumps(required, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
