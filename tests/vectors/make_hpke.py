"""Writes hpke.json: sealed cookies made by an HPKE of its own, from RFC 9180 and four primitives.

The product uses the HPKE of `cryptography`; this file uses none of it, nor of the product: only Diffie-Hellman,
HMAC, SHA-256 and AES-GCM. All keys are fixed, so the output is always the same. Run it with Python to write the file.
https://www.rfc-editor.org/rfc/rfc9180
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import ECDH, SECP256R1, EllipticCurvePrivateKey, derive_private_key
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

KDF_HKDF_SHA256, AEAD_AES_256_GCM = 0x0001, 0x0002
KEY_BYTES, NONCE_BYTES, SECRET_BYTES = 32, 12, 32
COOKIE_VERSION = 2

PrivateKey = X25519PrivateKey | EllipticCurvePrivateKey


def labeled_extract(suite_id: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    """Section 4, with HKDF-Extract of RFC 5869."""
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite_id + label + ikm, hashlib.sha256)


def labeled_expand(suite_id: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """Section 4, with HKDF-Expand of RFC 5869; one block is enough for every length here."""
    text = length.to_bytes(2, "big") + b"HPKE-v1" + suite_id + label + info
    return hmac.digest(prk, text + b"\x01", hashlib.sha256)[:length]


def kem_id(key: PrivateKey) -> int:
    """Section 7.1."""
    return 0x0020 if isinstance(key, X25519PrivateKey) else 0x0010


def serialized(key: PrivateKey) -> bytes:
    """The public key as section 7.1.1 puts it on the wire."""
    if isinstance(key, X25519PrivateKey):
        return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def diffie_hellman(ephemeral: PrivateKey, recipient: PrivateKey) -> bytes:
    """The shared secret of section 4.1: for P-256 the x-coordinate."""
    if isinstance(ephemeral, X25519PrivateKey) and isinstance(recipient, X25519PrivateKey):
        return ephemeral.exchange(recipient.public_key())
    if isinstance(ephemeral, EllipticCurvePrivateKey) and isinstance(recipient, EllipticCurvePrivateKey):
        return ephemeral.exchange(ECDH(), recipient.public_key())
    raise TypeError("both keys must be of one type")


def seal_base(ephemeral: PrivateKey, recipient: PrivateKey, info: bytes, plaintext: bytes) -> bytes:
    """Mode base, single shot: `enc | ciphertext`. Sections 4.1, 5.1 and 5.2."""
    kem = b"KEM" + kem_id(recipient).to_bytes(2, "big")
    enc = serialized(ephemeral)
    shared = labeled_extract(kem, b"", b"eae_prk", diffie_hellman(ephemeral, recipient))
    shared = labeled_expand(kem, shared, b"shared_secret", enc + serialized(recipient), SECRET_BYTES)

    numbers = (kem_id(recipient), KDF_HKDF_SHA256, AEAD_AES_256_GCM)
    hpke = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in numbers)
    psk_id_hash = labeled_extract(hpke, b"", b"psk_id_hash", b"")
    info_hash = labeled_extract(hpke, b"", b"info_hash", info)
    context = b"\x00" + psk_id_hash + info_hash
    secret = labeled_extract(hpke, shared, b"secret", b"")
    key = labeled_expand(hpke, secret, b"key", context, KEY_BYTES)
    nonce = labeled_expand(hpke, secret, b"base_nonce", context, NONCE_BYTES)  # sequence number zero
    return enc + AESGCM(key).encrypt(nonce, plaintext, b"")


def cookie(ephemeral: PrivateKey, recipient: PrivateKey, app: str, name: str, plaintext: bytes) -> str:
    """A cookie value: `version | key id | enc | ciphertext` in base64url."""
    public = recipient.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key_id = hashlib.sha256(b"envoy-token-handler key id\0" + public).digest()[:4]
    info = b"\0".join((b"envoy-token-handler", app.encode(), name.encode()))
    raw = bytes((COOKIE_VERSION,)) + key_id + seal_base(ephemeral, recipient, info, plaintext)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def fixed_key(kind: str, label: str) -> PrivateKey:
    """A key anyone can make again: for tests, and for nothing else."""
    seed = hashlib.sha256(f"envoy-token-handler test vector {kind} {label}".encode()).digest()
    if kind == "x25519":
        return X25519PrivateKey.from_private_bytes(seed)
    return derive_private_key(int.from_bytes(seed, "big"), SECP256R1())


def vectors() -> list[dict[str, str]]:
    """Every vector: both key types, two apps, a short text and a long one."""
    texts = {"shop": '{"at":"opaque","iat":1700000000,"sid":"s"}', "bank-2": "x" * 2900}
    return [
        {
            "kind": kind,
            "app": app,
            "cookie": f"__Host-Http-{app}-at",
            "plaintext": text,
            "private_key": fixed_key(kind, app)
            .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            .decode(),
            "sealed": cookie(
                fixed_key(kind, f"{app} ephemeral"), fixed_key(kind, app), app, f"__Host-Http-{app}-at", text.encode()
            ),
        }
        for kind in ("x25519", "p-256")
        for app, text in texts.items()
    ]


if __name__ == "__main__":
    Path(__file__).with_name("hpke.json").write_text(json.dumps(vectors(), indent=1) + "\n")
