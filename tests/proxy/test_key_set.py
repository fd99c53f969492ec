"""The issuer's keys: which signatures are good, and how often the issuer is asked for them."""

import asyncio
import hashlib
import hmac
import json

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from proxy_world.authorization_server import JWKS, KEY, Server, SigningKey, jwk, token, unsigned

from extauthz.oauth.errors import AuthorizationServerError, InvalidToken, Trouble

pytestmark = pytest.mark.anyio

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED = ed25519.Ed25519PrivateKey.generate()
P521 = ec.generate_private_key(ec.SECP521R1())
STRANGER = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("key", "alg"),
    [
        *((RSA, alg) for alg in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (KEY, "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (P521, "ES512"),
        (ED, "EdDSA"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_good_signatures(key: SigningKey, alg: str) -> None:
    """Each asymmetric algorithm of JOSE is verified, and header and claims come back."""
    server = Server()
    server.publish([jwk(STRANGER, kid="other"), jwk(key, kid="k1")])
    header, claims = await server.key_set().verify(token(key=key, alg=alg))
    assert (header["alg"], claims["sub"]) == (alg, "u")


def hs256_with_public_key() -> str:
    """A token signed with what everyone knows."""
    secret = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = unsigned({"alg": "HS256", "kid": "k1"}, {"sub": "u"}).rpartition(".")[0]
    signature = hmac.digest(secret, head.encode(), hashlib.sha256)
    return head + "." + unsigned({}, {}, signature).rpartition(".")[2]


def wrong_signature() -> str:
    """A good head over other claims."""
    head, _, signature = token().split(".")
    return ".".join((head, token({"sub": "admin"}).split(".")[1], signature))


BAD_TOKENS = {
    "alg none without a signature": unsigned({"alg": "none", "kid": "k1"}, {"sub": "u"}, b""),
    "alg none with one": unsigned({"alg": "none", "kid": "k1"}, {"sub": "u"}),
    "alg None": unsigned({"alg": "None", "kid": "k1"}, {"sub": "u"}),
    "alg in an array": unsigned({"alg": ["ES256"], "kid": "k1"}, {"sub": "u"}),
    "alg as an object": unsigned({"alg": {}, "kid": "k1"}, {"sub": "u"}),
    "a key id that is a number": unsigned({"alg": "ES256", "kid": 1}, {"sub": "u"}),
    "no alg": unsigned({"kid": "k1"}, {"sub": "u"}),
    "HS256 with the public key as secret": hs256_with_public_key(),
    "an unknown algorithm": unsigned({"alg": "ES256K", "kid": "k1"}, {"sub": "u"}),
    "an algorithm its key does not fit": unsigned({"alg": "RS256", "kid": "k1"}, {"sub": "u"}),
    "the curve of another key": unsigned({"alg": "ES512", "kid": "k1"}, {"sub": "u"}),
    "a key of somebody else under our key id": token(key=STRANGER),
    "a key that is not published": token(key=STRANGER, kid="k2"),
    "the signature of other claims": wrong_signature(),
    "an empty signature": token().rpartition(".")[0] + ".",
    "a critical header": token(header={"crit": ["b64"], "b64": True}),
    "a critical header that is empty": token(header={"crit": []}),
    "a key of its own in the header": token(key=STRANGER, kid=None, header={"jwk": jwk(STRANGER)}),
    "two parts": token().rpartition(".")[0],
    "four parts": token() + ".x",
    "no parts": "opaque",
    "nothing": "",
    "a header that is an array": unsigned([], {}),
    "a header that is no JSON": "e30x." + token().partition(".")[2],
    "a header that is not base64": "*." + token().partition(".")[2],
    "more than 16 KB": token({"x": "y" * 16_000}),
}


@pytest.mark.parametrize("bad", [pytest.param(bad, id=name) for name, bad in BAD_TOKENS.items()])
async def test_bad_tokens(bad: str) -> None:
    """A token whose signature cannot be trusted is invalid, and the message does not repeat it."""
    with pytest.raises(InvalidToken) as refused:
        await Server().key_set().verify(bad)
    assert not bad or bad not in str(refused.value)


async def test_keys_named_in_the_token_are_not_fetched() -> None:
    """`jku` and `x5u` lead nowhere: the only keys are those of the metadata."""
    server = Server()
    evil = {"jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5u"}
    with pytest.raises(InvalidToken):
        await server.key_set().verify(token(key=STRANGER, kid="evil", header=evil))
    assert {request.url.host for request in server.asked} == {"as.example"}


@pytest.mark.parametrize(
    "payload", [b"[]", b'"x"', b"7", b"not JSON", b"[" * 5000, b'{"x":NaN}', b'{"x":Infinity}', b'{"x":-1e999}']
)
async def test_claims_that_are_none(payload: bytes) -> None:
    """A good signature over something that is no JSON object is no JWT."""
    signed = jwt.PyJWS().encode(payload, KEY, algorithm="ES256", headers={"kid": "k1"})
    with pytest.raises(InvalidToken):
        await Server().key_set().verify(signed)


async def test_a_new_key_is_fetched() -> None:
    """A token under a key published since is verified, once the cool-down is over."""
    server = Server()
    keys = server.key_set()
    await keys.verify(token())
    server.publish([jwk(KEY, kid="k1"), jwk(STRANGER, kid="k2")])
    server.clock.now += 10
    await keys.verify(token(key=STRANGER, kid="k2"))
    assert len(server.asked_at(JWKS)) == 2


async def test_a_flood_of_unknown_keys_is_one_fetch() -> None:
    """Made-up key ids make the issuer be asked once in ten seconds, however many there are."""
    server = Server()
    keys = server.key_set()
    await keys.verify(token())
    server.clock.now += 10
    flood = [keys.verify(token(key=STRANGER, kid=f"made-up-{number}")) for number in range(50)]
    refused = await asyncio.gather(*flood, return_exceptions=True)
    assert {type(one) for one in refused} == {InvalidToken}
    assert len(server.asked_at(JWKS)) == 2
    server.clock.now += 9.9
    with pytest.raises(InvalidToken):
        await keys.verify(token(key=STRANGER, kid="another"))
    assert len(server.asked_at(JWKS)) == 2


async def test_without_a_key_id_there_must_be_no_choice() -> None:
    """A token without key id is verified by the one key of its algorithm, and by none of two."""
    server = Server()
    server.publish([jwk(KEY, kid="k1", alg="ES256"), jwk(RSA, kid="k2", alg="RS256")])
    await server.key_set().verify(token(kid=None))
    server.publish([jwk(KEY, kid="k1"), jwk(STRANGER, kid="k2")])
    with pytest.raises(InvalidToken):
        await server.key_set().verify(token(kid=None))


async def test_keys_not_meant_for_this() -> None:
    """A key for encryption, or for another algorithm, verifies nothing."""
    for members in ({"use": "enc"}, {"alg": "ES512"}):
        server = Server()
        server.publish([jwk(KEY, kid="k1", **members)])
        with pytest.raises(InvalidToken):
            await server.key_set().verify(token())


async def test_a_symmetric_key_in_the_set_is_of_no_use() -> None:
    """An issuer that publishes an `oct` key, by mistake, does not make HMAC acceptable."""
    server = Server()
    server.publish([{"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ", "kid": "k1"}])
    secret = b"secret-secret-secret-secret-1234"
    signed = jwt.PyJWS().encode(b"{}", secret, algorithm="HS256", headers={"kid": "k1"})
    with pytest.raises(InvalidToken):
        await server.key_set().verify(signed)


@pytest.mark.parametrize("keys", [None, {}, "x", 7])
async def test_a_set_without_keys(keys: object) -> None:
    """A document without a list of keys is a bad answer."""
    server = Server()
    server.publish(keys)
    with pytest.raises(AuthorizationServerError) as failure:
        await server.key_set().verify(token())
    assert failure.value.trouble is Trouble.BAD_ANSWER


async def test_a_set_with_rubbish_among_the_keys() -> None:
    """What is no key in the list does not keep the others from use."""
    server = Server()
    server.publish([None, 7, "x", [], {}, {"kid": "k1", "kty": "OKP", "alg": "X"}, jwk(KEY, kid="k1")])
    await server.key_set().verify(token())


async def test_old_keys_serve_while_the_server_is_down() -> None:
    """A server that is down does not log out those whose keys are known."""
    server = Server()
    keys = server.key_set()
    await keys.verify(token())
    server.answers[JWKS] = httpx2.Response(503)
    server.clock.now += 3600
    await keys.verify(token())


async def test_a_new_key_cannot_be_told_from_a_forged_one_while_the_server_is_down() -> None:
    """A key id that is unknown while the keys cannot be fetched is the server's trouble, not an invalid token."""
    server = Server()
    keys = server.key_set()
    await keys.verify(token())
    server.answers[JWKS] = httpx2.Response(503)
    server.clock.now += 10
    with pytest.raises(AuthorizationServerError) as failure:
        await keys.verify(token(key=STRANGER, kid="k2"))
    assert failure.value.trouble is Trouble.ERROR
    await keys.verify(token())


async def test_private_members_of_a_key_are_not_looked_at() -> None:
    """A server that publishes them by mistake is understood, and one that does it on purpose keeps nobody busy."""
    key = rsa.generate_private_key(65537, 2048)
    server = Server()
    server.publish([{**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key)), "kid": "k1"}])
    assert await server.key_set().verify(token(key=key, alg="RS256"))
    # Without p and q, the factors of n would be looked for, with numbers of any size.
    server.publish([{**jwk(key, kid="k1"), "d": "AQAB"}])
    assert await server.key_set().verify(token(key=key, alg="RS256"))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_weak_key_is_none() -> None:
    """RFC 7518 section 3.3: 2048 bits or more."""
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505  # which is the point
    server = Server()
    server.publish([jwk(key, kid="k1")])
    with pytest.raises(InvalidToken):
        await server.key_set().verify(token(key=key, alg="RS256"))


async def test_keys_without_end_are_not_all_looked_at() -> None:
    """Two hundred are more than any server has."""
    server = Server()
    server.publish([*[{"kid": str(number)} for number in range(200)], jwk(KEY, kid="k1")])
    with pytest.raises(InvalidToken):
        await server.key_set().verify(token())
