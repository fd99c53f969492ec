"""The private keys that authorization servers encrypt for. Errors name what is wrong with one, never what is inside."""

from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519

from extauthz.cookies.keys import UnusableKey, read_pem

DecryptionKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey

NEEDED = "an RSA (2048 bits or more), EC (P-256, P-384, P-521) or X25519 key is needed"
MIN_RSA_BITS = 2048  # RFC 7518 section 4.3
CURVES = ("secp256r1", "secp384r1", "secp521r1")


def read_decryption_key(pem: bytes) -> DecryptionKey:
    """A private key from unencrypted PEM. Raises UnusableKey."""
    key = read_pem(pem, NEEDED)
    match key:
        case rsa.RSAPrivateKey() if key.key_size >= MIN_RSA_BITS:
            return key
        case ec.EllipticCurvePrivateKey() if key.curve.name in CURVES:
            return key
        case x25519.X25519PrivateKey():
            return key
        case _:
            raise UnusableKey(f"a private key of the wrong type; {NEEDED}")
