"""Encrypting a signed JWT for a client that has registered a key (RFC 7519 section 5.2)."""

from joserfc.jwe import JWERegistry, encrypt_compact
from joserfc.jwk import ECKey, OKPKey, RSAKey

from demo.idp.config import Client

KEYS: dict[str, type[ECKey] | type[OKPKey] | type[RSAKey]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
ALGORITHMS = {"EC": "ECDH-ES", "OKP": "ECDH-ES", "RSA": "RSA-OAEP-256"}
ENCODING = "A256GCM"


def encrypt(jwt: str, client: Client) -> str:
    """A JWE in compact form, with issuer and audience beside the standard header members, as real servers write it."""
    assert client.encryption_jwk is not None
    kind = client.encryption_jwk["kty"]
    algorithm = ALGORITHMS[kind]
    header = {"alg": algorithm, "enc": ENCODING, "cty": "JWT", "aud": client.client_id}
    registry = JWERegistry(algorithms=[algorithm, ENCODING], strict_check_header=False)
    return encrypt_compact(header, jwt, KEYS[kind].import_key(dict(client.encryption_jwk)), registry=registry)
