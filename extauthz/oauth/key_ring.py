"""The keys we sign tokens with: making one, and publishing the public halves."""

import json
from collections.abc import Callable, Collection

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from extauthz.oauth.signing_key import PrivateKey, SigningKey

RSA_BITS = 2048  # signing with 3072 takes three times as long, and these tokens live for minutes


def new_key(kind: str) -> bytes:
    """A private key to sign with, in PEM; `kind` is ES256, EdDSA or RS256."""
    made: dict[str, Callable[[], PrivateKey]] = {
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
        "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS),
    }
    return made[kind]().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_set(keys: Collection[SigningKey]) -> bytes:
    """The public halves of all keys as a JWK set, each once (RFC 7517 section 5)."""
    published = {kid: key.public_jwk(kid) for kid, key in ((key.thumbprint(), key) for key in keys)}
    return json.dumps({"keys": list(published.values())}).encode()
