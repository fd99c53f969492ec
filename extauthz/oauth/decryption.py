"""Decrypting what an authorization server has encrypted for us: one JWE in compact form (RFC 7516).

It says nothing of who encrypted it, for the key to encrypt with is public: what is inside has to be signed.
"""

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry, decrypt_compact
from joserfc.jwk import ECKey, OKPKey, RSAKey

from extauthz.oauth.decryption_key import DecryptionKey
from extauthz.oauth.errors import InvalidToken

MAX_CHARACTERS = 64 * 1024  # an encrypted answer is half as long again as the signed one in it
# What the library would take besides: RSA1_5 (RFC 8725 section 3.2), symmetric keys, and compression, which is not
# in the list, for zip names its algorithm too.
ALGORITHMS = (
    *("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW", "RSA-OAEP-256"),
    *("A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512", "A128GCM", "A192GCM", "A256GCM"),
)

_Key = ECKey | OKPKey | RSAKey


class Decryption:
    """Opens with any of our keys, so that the one registered with the server can be changed. `setting` names them."""

    def __init__(self, keys: Sequence[DecryptionKey], setting: str = "introspection_key_files") -> None:
        self._setting = setting
        self._keys = [_imported(key) for key in keys]
        # Header members beyond the standard ones, as issuer and audience, are common and mean nothing here.
        self._registry = JWERegistry(algorithms=ALGORITHMS, strict_check_header=False)

    def open(self, jwe: str) -> str:
        """The text inside. Raises InvalidToken, with one message whatever was wrong."""
        if not jwe.isascii() or len(jwe) > MAX_CHARACTERS:
            raise InvalidToken("it is too long, or no JWE")
        for key in self._keys:
            text = self._open_with(key, jwe)
            if text is not None:
                return text
        raise InvalidToken(f"it cannot be decrypted with any key of {self._setting}")

    def _open_with(self, key: _Key, jwe: str) -> str | None:
        try:
            plaintext = decrypt_compact(jwe, key, registry=self._registry).plaintext
            return None if plaintext is None else plaintext.decode("ascii")
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, AssertionError, RecursionError):
            # A key of another type than the header asks for, an ephemeral key off the curve, a header of lists.
            return None


def public_jwk(key: DecryptionKey) -> dict[str, object]:
    """The public half, to register with the server: what it is for stands beside it."""
    imported = _imported(key)
    return {**imported.as_dict(private=False), "kid": imported.thumbprint(), "use": "enc"}


def _imported(key: DecryptionKey) -> _Key:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    match key:
        case ec.EllipticCurvePrivateKey():
            return ECKey.import_key(pem)
        case rsa.RSAPrivateKey():
            return RSAKey.import_key(pem)
        case _:
            return OKPKey.import_key(pem)
