"""How we prove to the authorization server who we are: what each method adds to a request, and what it must not."""

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from proxy_world.authorization_server import INTROSPECT, ISSUER, SECRET, Server, token
from proxy_world.client_keys import KEYS, Key, pem
from proxy_world.fakes import NOW

from extauthz.cookies.keys import UnusableKey
from extauthz.oauth.client_auth import (
    ClientAuthentication,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
    TlsClientAuth,
)
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.oauth.signing_key import SigningKey, read_signing_key
from extauthz.policy import Rule

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = {"token": "opaque", "token_type_hint": "access_token"}
CLIENT = "the proxy"
CANARY = "canary-7f3a"


def test_k1_an_assertion_names_us_and_the_issuer_alone() -> None:
    """Issuer and subject are the client, the audience is the issuer as one string, never a list or an endpoint."""
    _, claims = opened(assertion(signed_with("ES256")))
    assert (claims["iss"], claims["sub"], claims["aud"]) == (CLIENT, CLIENT, ISSUER)


def test_k1_an_assertion_lives_a_minute() -> None:
    """It is issued now and good for no more than 60 seconds, in whole seconds by the wall clock."""
    _, claims = opened(assertion(signed_with("ES256", clock=lambda: NOW + 0.9)))
    assert (claims["iat"], claims["exp"]) == (NOW, NOW + 60)


def test_k1_every_request_has_an_assertion_of_its_own() -> None:
    """A server that remembers what it has seen would refuse the second of two that are alike."""
    client = signed_with("ES256")
    ids = {opened(assertion(client))[1]["jti"] for _ in range(50)}
    assert len(ids) == 50
    assert min(len(jti) for jti in ids) >= 22  # 128 bits


def test_k1_the_header_says_what_it_is() -> None:
    """An assertion is typed, so that it can be taken for no other JWT, and names its key."""
    header, _ = opened(assertion(signed_with("ES256")))
    assert header == {"alg": "ES256", "typ": "client-authentication+jwt", "kid": "key-1"}


def test_k1_the_form_carries_type_assertion_and_client() -> None:
    """What was in the form stays there, and no header is sent."""
    headers, form = signed_with("ES256").authenticate(FORM)
    assert headers == {}
    assert form == FORM | {
        "client_id": CLIENT,
        "client_assertion_type": TYPE,
        "client_assertion": form["client_assertion"],
    }


@pytest.mark.parametrize("algorithm", KEYS)
def test_k1_the_key_decides_on_the_algorithm(algorithm: str) -> None:
    """Each kind of key signs with its algorithm, and its public JWK verifies it."""
    client = signed_with(algorithm)
    text = assertion(client)
    assert jwt.get_unverified_header(text)["alg"] == algorithm
    key = jwt.PyJWK(client.key.public_jwk("key-1"))
    assert jwt.decode(text, key, [algorithm], audience=ISSUER, options={"verify_exp": False, "verify_iat": False})


def test_k2_client_secret_basic() -> None:
    """The secret is form-encoded, then goes into the header, and the form stays as it is."""
    headers, form = ClientSecretBasic(CLIENT, SECRET).authenticate(FORM)
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b"the+proxy:a%2Bb%25%3A%2F+%C3%A9"
    assert form == FORM


def test_k3_an_older_server_may_have_another_audience() -> None:
    """Where the token endpoint is expected, it can be said."""
    endpoint = f"{ISSUER}/token"
    assert opened(assertion(signed_with("ES256", audience=endpoint)))[1]["aud"] == endpoint


def test_client_secret_post() -> None:
    """Id and secret are in the form, and in no header."""
    headers, form = ClientSecretPost(CLIENT, SECRET).authenticate(FORM)
    assert headers == {}
    assert form == FORM | {"client_id": CLIENT, "client_secret": SECRET}


def test_tls_client_auth_says_who_we_are() -> None:
    """RFC 8705: the certificate proves it, the client id in the form tells whose it should be."""
    assert TlsClientAuth(CLIENT).authenticate(FORM) == ({}, FORM | {"client_id": CLIENT})


@pytest.mark.parametrize("method", ["basic", "post", "key", "tls"])
def test_what_a_caller_puts_into_the_form_does_not_replace_ours(method: str) -> None:
    """Whatever an app managed to add, the client that asks is ours."""
    theirs = dict.fromkeys(("client_id", "client_secret", "client_assertion", "client_assertion_type"), "theirs")
    headers, form = clients()[method].authenticate(theirs)
    ours = {name for name in theirs if form[name] != "theirs"} | {"authorization"} & headers.keys()
    assert (
        ours
        == {
            "basic": {"authorization"},
            "post": {"client_id", "client_secret"},
            "key": {"client_id", "client_assertion", "client_assertion_type"},
            "tls": {"client_id"},
        }[method]
    )


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["basic", "post", "key", "tls"])
async def test_introspection_uses_the_method(method: str) -> None:
    """Whatever the method, the token arrives as it was, and one proof is sent, not two."""
    server = Server()
    server.introspects(token())
    await server.phantom(clients()[method])("a&b+c =", Rule())
    form, headers = server.form(), server.asked_at(INTROSPECT)[0].headers
    assert form["token"] == "a&b+c ="
    assert ("authorization" in headers) + ("client_secret" in form) + ("client_assertion" in form) == (method != "tls")
    assert headers["accept"] == "application/jwt"


@pytest.mark.anyio
async def test_k1_a_second_introspection_is_asked_with_a_new_assertion() -> None:
    """Two questions about two tokens are two assertions."""
    server = Server()
    server.introspects(token())
    phantom = server.phantom(clients()["key"])
    seen = set()
    for opaque in ("one", "two"):
        await phantom(opaque, Rule())
        seen.add(server.form()["client_assertion"])
    assert len(seen) == 2


@pytest.mark.anyio
async def test_k1_a_second_attempt_has_a_new_assertion() -> None:
    """A connection that ends under an introspection may have carried its assertion already."""
    server, seen = Server(), []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(server.form()["client_assertion"])
        if len(seen) == 1:
            raise httpx2.ReadError("reset", request=request)
        body = httpx2.ByteStream(token().encode())
        return httpx2.Response(200, headers={"content-type": "application/jwt"}, stream=body)

    server.answers[INTROSPECT] = answer
    await server.phantom(clients()["key"])("opaque", Rule())
    assert len(set(seen)) == len(seen) == 2


REFUSALS = {
    "401": httpx2.Response(401),
    "403": httpx2.Response(403),
    "401 with a body": httpx2.Response(401, json={"error": "invalid_client", "error_description": CANARY}),
    "400 invalid_client": httpx2.Response(400, json={"error": "invalid_client"}),
    "400 unauthorized_client": httpx2.Response(400, json={"error": "unauthorized_client"}),
}


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["basic", "post", "key", "tls"])
@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS)
async def test_n4_a_refusal_of_us_is_ours_to_mend(method: str, answer: httpx2.Response) -> None:
    """By whatever method: the operator is told, the user is not logged out, and no secret is repeated."""
    server = Server()
    server.answers[INTROSPECT] = answer
    with pytest.raises(AuthorizationServerError) as refused:
        await server.phantom(clients()[method])("opaque", Rule())
    assert refused.value.trouble is Trouble.REFUSED_US
    assert not any(secret in str(refused.value) for secret in (SECRET, CANARY, "eyJ"))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body", [b"", b"invalid_client", b'["invalid_client"]', b'{"error":["invalid_client"]}', b'{"error":"other"}']
)
async def test_another_400_is_an_error_of_theirs(body: bytes) -> None:
    """Only the code itself, where it belongs, is about us."""
    server = Server()
    server.answers[INTROSPECT] = httpx2.Response(400, content=body)
    with pytest.raises(AuthorizationServerError) as refused:
        await server.phantom()("opaque", Rule())
    assert refused.value.trouble is Trouble.ERROR


def test_the_key_id_is_the_thumbprint_anyone_can_compute() -> None:
    """RFC 7638 section 3.1 and RFC 8037 appendix A.3: the published examples."""
    published = {
        "kty": "OKP",
        "crv": "Ed25519",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }
    key = jwt.PyJWK(published).key
    assert SigningKey(key, "EdDSA").thumbprint() == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_public_jwk_holds_nothing_private(algorithm: str) -> None:
    """What is registered at the authorization server has none of the members of a private key."""
    published = read_signing_key(pem(KEYS[algorithm])).public_jwk("k")
    assert (published["kid"], published["use"], published["alg"]) == ("k", "sig", algorithm)
    assert not published.keys() & {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


UNUSABLE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "no PEM private key in it"),
    "a public key": (b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", "no PEM private key in it"),
    "garbage": (b"-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----", "cannot be read"),
    "a short RSA key": (pem(rsa.generate_private_key(65537, 1024)), "wrong type; an RSA (2048 bits"),  # noqa: S505  # refused
    "a curve of no algorithm of ours": (pem(ec.generate_private_key(ec.SECP256K1())), "wrong type"),
    "Ed448": (pem(ed448.Ed448PrivateKey.generate()), "wrong type"),
    "with a password": (
        KEYS["ES256"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"canary")),
        "encrypted with a password",
    ),
}


@pytest.mark.parametrize(("octets", "why"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_that_cannot_sign(octets: bytes, why: str) -> None:
    """What is wrong is said, and nothing of what is inside."""
    with pytest.raises(UnusableKey) as refused:
        read_signing_key(octets)
    assert why in str(refused.value)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("method", ["basic", "post", "key", "tls"])
def test_no_repr_shows_a_secret(method: str) -> None:
    """Neither secret nor key."""
    for text in (repr(clients()[method]), str(clients()[method])):
        assert SECRET not in text
        assert "PrivateKey object" not in text
        assert "private" not in text.lower().replace("privatekeyjwt", "")


def clients() -> dict[str, ClientAuthentication]:
    """One of each method."""
    return {
        "basic": ClientSecretBasic(CLIENT, SECRET),
        "post": ClientSecretPost(CLIENT, SECRET),
        "key": signed_with("ES256"),
        "tls": TlsClientAuth(CLIENT),
    }


def signed_with(algorithm: str, *, audience: str = ISSUER, clock: Callable[[], float] = lambda: NOW) -> PrivateKeyJwt:
    """A client with a key."""
    key: Key = KEYS[algorithm]
    return PrivateKeyJwt(
        client_id=CLIENT, audience=audience, key=read_signing_key(pem(key)), key_id="key-1", clock=clock
    )


def assertion(client: PrivateKeyJwt) -> str:
    """The assertion of one request."""
    return str(client.authenticate(FORM)[1]["client_assertion"])


def opened(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of an assertion, as they were written."""
    head, claims, _ = text.split(".")
    read = [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, claims)]
    return read[0], read[1]
