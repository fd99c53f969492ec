"""What introspection says of a token, as JSON or signed (RFC 9701): which answers count, and what they are worth."""

import base64
import json
import math
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwe import JWERegistry, encrypt_compact
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from proxy_world.authorization_server import CLIENT, INTROSPECT, ISSUER, KEY, Server, token, unsigned
from proxy_world.fakes import NOW

from extauthz.oauth.decryption import Decryption
from extauthz.oauth.decryption_key import DecryptionKey
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.outcome import Refused
from extauthz.reason import Reason
from extauthz.upstream.introspected import Active

pytestmark = pytest.mark.anyio

JSON, SIGNED = "application/json", "application/token-introspection+jwt"
GOOD: dict[str, Any] = {
    "active": True,
    "token_type": "Bearer",
    "iss": ISSUER,
    "sub": "u",
    "client_id": "shop",
    "scope": "orders profile",
    "aud": "api",
    "exp": NOW + 300,
}


async def introspect(members: dict[str, object], *, replace: bool = False) -> Active | Refused:
    """What becomes of a plain answer with these members changed; None drops one."""
    server = Server()
    told = members if replace else {name: value for name, value in {**GOOD, **members}.items() if value is not None}
    server.introspects(json.dumps(told), content_type=JSON)
    return await server.introspected()("0paque")


async def trouble(server: Server, **how: Any) -> str:
    """What is told of an answer that cannot be used."""
    with pytest.raises(AuthorizationServerError) as raised:
        await server.introspected(**how)("0paque")
    assert raised.value.trouble is Trouble.BAD_ANSWER
    assert "0paque" not in str(raised.value)
    return str(raised.value)


async def test_n1_n2_the_question() -> None:
    """N1, N2: a form with the token, our credentials, and the content type that is wanted."""
    server = Server()
    server.introspects(json.dumps(GOOD), content_type=JSON)
    found = await server.introspected()("0paque~/+=")
    assert server.form() == {"token": "0paque~/+=", "token_type_hint": "access_token"}
    assert server.asked_at(INTROSPECT)[0].headers["accept"] == JSON
    assert isinstance(found, Active)
    assert (found.subject, found.client_id, found.scope) == ("u", "shop", "orders profile")
    assert found.expires_at == NOW + 300


async def test_n2_inactive_is_no_error() -> None:
    """N2: an inactive token is the user's to renew, whatever else the answer holds."""
    assert await introspect({"active": False}, replace=True) == Refused(Reason.TOKEN_INACTIVE)
    assert await introspect({"active": False, "iss": "https://evil.example"}) == Refused(Reason.TOKEN_INACTIVE)


@pytest.mark.parametrize("active", ["true", "false", 1, 0, [True], {}, None])
async def test_n3_active_is_a_boolean(active: object) -> None:
    """N3: what does not say `active` as a boolean is a bad answer, and never a yes or a no."""
    server = Server()
    server.introspects(json.dumps({**GOOD, "active": active}), content_type=JSON)
    assert "active" in await trouble(server)


async def test_n4_our_credentials_are_no_fault_of_the_users() -> None:
    """N4: a server that refuses our client is trouble of ours, and never a 401 to the user."""
    server = Server()
    server.introspects("{}", status=401, content_type=JSON)
    with pytest.raises(AuthorizationServerError) as raised:
        await server.introspected()("0paque")
    assert raised.value.trouble is Trouble.REFUSED_US


REFUSED = {
    "N5 expired now": ({"exp": NOW}, Reason.TOKEN_INACTIVE),
    "N5 expired before 1970": ({"exp": -1}, Reason.TOKEN_INACTIVE),
    "N5 not valid yet": ({"nbf": NOW + 60}, Reason.TOKEN_INVALID),
    "N5 of a type nobody knows": ({"token_type": "MAC"}, Reason.TOKEN_INVALID),
    "N5 a type that is no text": ({"token_type": ["Bearer"]}, Reason.TOKEN_INVALID),
    "N6 a refresh token, of most servers": ({"token_type": None, "aud": None, "scope": "openid"}, Reason.TOKEN_INVALID),
    "an ID token, by its nonce": ({"token_type": None, "nonce": "n"}, Reason.TOKEN_INVALID),
    "an ID token, by its hash": ({"at_hash": "x"}, Reason.TOKEN_INVALID),
    "an ID token, by its audience": ({"token_type": None, "aud": [GOOD["client_id"]]}, Reason.TOKEN_INVALID),
    "an ID token, by its typ": ({"typ": "ID"}, Reason.TOKEN_INVALID),
    "an ID token, by its use": ({"token_use": "id"}, Reason.TOKEN_INVALID),
    "a logout token": ({"events": {}}, Reason.TOKEN_INVALID),
    "N6 called so by its type": ({"token_type": "refresh_token"}, Reason.TOKEN_INVALID),
    "N6 called so by its use": ({"token_use": "refresh_token"}, Reason.TOKEN_INVALID),
    "N6 called so by typ": ({"typ": "Refresh"}, Reason.TOKEN_INVALID),
    "N6 called so as one for offline use": ({"typ": "Offline"}, Reason.TOKEN_INVALID),
    "D1 bound to a DPoP key": ({"cnf": {"jkt": "x"}}, Reason.TOKEN_INVALID),
    "D1 bound to a certificate": ({"cnf": {"x5t#S256": "x"}}, Reason.TOKEN_INVALID),
    "D1 bound to nothing known": ({"cnf": {}}, Reason.TOKEN_INVALID),
    "D1 of type DPoP": ({"token_type": "DPoP"}, Reason.TOKEN_INVALID),
    "D1 of type dpop": ({"token_type": "dpop"}, Reason.TOKEN_INVALID),
}


@pytest.mark.parametrize(("members", "reason"), REFUSED.values(), ids=REFUSED)
async def test_active_and_yet_refused(members: dict[str, object], reason: Reason) -> None:
    """N5, N6, D1: an active token that must not go on as a bearer token is refused, and the log learns why."""
    refused = await introspect(members)
    assert isinstance(refused, Refused)
    assert refused.reason is reason
    assert refused.detail


SERVES = {
    "N5 no type, but an audience": {"token_type": None},
    "N5 a type in capitals": {"token_type": "BEARER"},
    "no audience, but a type": {"aud": None},
    "N5 no issuer": {"iss": None},
    "N7 members nobody knows": {"https://x.example/y": [1, {"z": None}]},
    "a clock four seconds ahead": {"nbf": NOW + 4},
    "a nonce, from older Keycloaks": {"nonce": "n"},
    "typ as Keycloak writes it": {"typ": "Bearer"},
    "token_use as of an access token": {"token_use": "access_token"},
}


@pytest.mark.parametrize("members", SERVES.values(), ids=SERVES)
async def test_active_and_good(members: dict[str, object]) -> None:
    """N5, N7: what RFC 7662 leaves out or lets a server add is no reason to refuse."""
    assert isinstance(await introspect(members), Active)


BAD = {
    **{f"an aud of {aud}": {"aud": aud} for aud in (5, True, {"a": 1}, [{"a": 1}], [], [None])},
    "N5 of another issuer": {"iss": "https://evil.example"},
    "N5 an issuer in an array": {"iss": [ISSUER]},
    "exp as text": {"exp": str(NOW)},
    "exp as a boolean": {"exp": True},
    "exp infinite": {"exp": float("inf")},
    "exp of four hundred digits": {"exp": 10**400},
    "nbf as text": {"nbf": "1"},
    "no client": {"client_id": None},
    "a client that is no text": {"client_id": 7},
    "a client with a line break": {"client_id": "shop\r\nx: y"},
    "neither user nor client": {"client_id": None, "sub": None},
    "an empty user": {"sub": ""},
    "a user that is a number": {"sub": 7},
    "a user with a NUL": {"sub": "u\0"},
    "a user that is half a letter": {"sub": "\ud800"},
    "a user of a thousand letters and more": {"sub": "u" * 1025},
    "a scope with a quote": {"scope": 'a"b'},
    "a scope with a line break": {"scope": "a\nb"},
    "a scope without end": {"scope": "s " * 2100},
}


@pytest.mark.parametrize("members", BAD.values(), ids=BAD)
async def test_members_that_make_no_sense(members: dict[str, object]) -> None:
    """What of the answer would go into a token has a form and a bound; anything else is trouble at the server."""
    server = Server()
    told = {name: value for name, value in {**GOOD, **members}.items() if value is not None}
    server.introspects(json.dumps(told), content_type=JSON)
    assert await trouble(server)


async def test_without_exp_the_token_is_good_for_now() -> None:
    """A server need not say when a token runs out; what is made of it decides how long it serves."""
    found = await introspect({"exp": None})
    assert isinstance(found, Active)
    assert found.expires_at == math.inf


async def test_without_a_user_the_client_is_the_subject() -> None:
    """RFC 9068 section 2.2: in a token without a user, sub is the client."""
    found = await introspect({"sub": None, "client_id": None, "azp": "robot"})
    assert isinstance(found, Active)
    assert (found.subject, found.client_id) == ("robot", "robot")


@pytest.mark.parametrize("body", ["<html>", "[]", "null", '"active"', '{"active":', "[" * 100_000])
async def test_json_that_is_none(body: str) -> None:
    """What is no JSON object is a bad answer."""
    server = Server()
    server.introspects(body, content_type=JSON)
    assert await trouble(server)


# RFC 9701


def signed(
    members: object = GOOD, claims: dict[str, object] | None = None, *, typ: str | None = "token-introspection+jwt"
) -> str:
    """A signed answer, changed by `claims`; None drops one."""
    own = {"aud": CLIENT, "iat": NOW, "token_introspection": members, "exp": None, "sub": None, "scope": None}
    return token({**own, **(claims or {})}, header={} if typ is None else {"typ": typ})


def server_that(answer: str, content_type: str = SIGNED) -> Server:
    """A server with this answer."""
    server = Server()
    server.introspects(answer, content_type=content_type)
    return server


@pytest.mark.parametrize("typ", ["token-introspection+jwt", "Token-Introspection+JWT", SIGNED])
@pytest.mark.parametrize("aud", [CLIENT, ["other", CLIENT]])
async def test_9701_a_signed_answer(typ: str, aud: object) -> None:
    """RFC 9701 section 5: the answer counts as the JSON inside, and is asked for by its media type."""
    server = server_that(signed(claims={"aud": aud}, typ=typ))
    found = await server.introspected(signed=True)("0paque")
    assert server.asked_at(INTROSPECT)[0].headers["accept"] == SIGNED
    assert isinstance(found, Active)
    assert found.subject == "u"


async def test_9701_an_inactive_token_is_signed_as_well() -> None:
    """A signed no is a no."""
    answer = await server_that(signed({"active": False})).introspected(signed=True)("0paque")
    assert answer == Refused(Reason.TOKEN_INACTIVE)


STRANGER = ec.generate_private_key(ec.SECP256R1())
BAD_SIGNED = {
    "without a type": signed(typ=None),
    "an access token": signed(typ="at+jwt"),
    "a plain JWT": signed(typ="JWT"),
    "of another issuer": signed(claims={"iss": "https://evil.example"}),
    "of no issuer": signed(claims={"iss": None}),
    "for another client": signed(claims={"aud": "somebody"}),
    "for nobody": signed(claims={"aud": None}),
    "without a time": signed(claims={"iat": None}),
    "with a time as text": signed(claims={"iat": "now"}),
    "of the future": signed(claims={"iat": NOW + 60}),
    "of a while ago": signed(claims={"iat": NOW - 301}),
    "of 1970": signed(claims={"iat": 0}),
    "over": signed(claims={"exp": NOW - 6}),
    "not yet valid": signed(claims={"nbf": NOW + 60}),
    "without the object": signed(claims={"token_introspection": None}),
    "with a list for it": signed([GOOD]),
    "with text for it": signed(json.dumps(GOOD)),
    "with the members outside": token({**GOOD, "aud": CLIENT, "iat": NOW}, header={"typ": "token-introspection+jwt"}),
    "saying nothing": signed({}),
    "signed by a stranger": token(
        {"aud": CLIENT, "iat": NOW, "token_introspection": GOOD},
        key=STRANGER,
        header={"typ": "token-introspection+jwt"},
    ),
    "not signed": unsigned({"alg": "none", "typ": "token-introspection+jwt"}, {"token_introspection": GOOD}),
    "signed with the public key as a secret": unsigned(
        {"alg": "HS256", "kid": "k1", "typ": "token-introspection+jwt"}, {"token_introspection": GOOD}
    ),
    "no JWT": "0123",
    "JSON under the other name": json.dumps(GOOD),
    "empty": "",
}


@pytest.mark.parametrize("answer", BAD_SIGNED.values(), ids=BAD_SIGNED)
async def test_9701_signed_answers_that_do_not_count(answer: str) -> None:
    """RFC 9701 section 5 and 8.1: each check fails closed, as trouble at the server."""
    assert await trouble(server_that(answer), signed=True)


MISMATCHES = {
    "asked to sign, answers JSON": (True, json.dumps(GOOD), JSON, "introspection: json"),
    "asked to sign, says inactive in JSON": (True, '{"active":false}', JSON, "introspection: json"),
    "asked to sign, gives a phantom token": (True, signed(), "application/jwt", "introspection: json"),
    "asked to sign, gives HTML": (True, "<html>", "text/html", "introspection: json"),
    "asked for JSON, signs": (False, signed(), SIGNED, "introspection: jwt"),
    "asked for JSON, gives a phantom token": (False, token(), "application/jwt", "a JWT"),
    "asked for JSON, gives HTML": (False, "<html>", "text/html", "asked for JSON"),
    "asked for JSON, says no type": (False, json.dumps(GOOD), "", "asked for JSON"),
}


@pytest.mark.parametrize(("sign", "body", "content_type", "hint"), MISMATCHES.values(), ids=MISMATCHES)
async def test_9701_content_type_and_configuration_agree(sign: bool, body: str, content_type: str, hint: str) -> None:
    """What was not asked for is never accepted, nor taken for the user's fault, and the log says what to change."""
    assert hint in await trouble(server_that(body, content_type), signed=sign)


async def test_9701_a_client_registered_for_another_form() -> None:
    """A server that has only another form for our client answers 400, and the log says where to look."""
    server = Server()
    server.introspects('{"error":"invalid_request"}', status=400, content_type=JSON)
    with pytest.raises(AuthorizationServerError, match="introspection: jwt") as raised:
        await server.introspected()("0paque")
    assert raised.value.trouble is Trouble.ERROR


OURS: dict[str, tuple[DecryptionKey, type[ECKey] | type[OKPKey] | type[RSAKey]]] = {
    "P-256": (ec.generate_private_key(ec.SECP256R1()), ECKey),
    "P-384": (ec.generate_private_key(ec.SECP384R1()), ECKey),
    "P-521": (ec.generate_private_key(ec.SECP521R1()), ECKey),
    "X25519": (x25519.X25519PrivateKey.generate(), OKPKey),
    "RSA": (rsa.generate_private_key(65537, 2048), RSAKey),
}
ENCODINGS = ["A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512", "A128GCM", "A192GCM", "A256GCM"]
ALL = [*ENCODINGS, "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW", "RSA-OAEP-256", "RSA-OAEP", "dir"]


def encrypted(text: str, name: str, alg: str, enc: str = "A256GCM", **header: object) -> str:
    """A JWE to one of our keys, by the library."""
    key, kind = OURS[name]
    registry = JWERegistry(algorithms=[*ALL, "DEF", "RSA1_5"], strict_check_header=False)
    public = kind.import_key(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return encrypt_compact({"alg": alg, "enc": enc, "cty": "JWT", **header}, text, public, registry=registry)


def decryption(*names: str) -> Decryption:
    """Our side, with these keys."""
    return Decryption([OURS[name][0] for name in names])


AGREEMENTS = [
    *((name, alg) for name in ("P-256", "X25519") for alg in ("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW")),
    ("P-384", "ECDH-ES"),
    ("P-521", "ECDH-ES+A192KW"),
    ("RSA", "RSA-OAEP-256"),
]


@pytest.mark.parametrize(("name", "alg"), AGREEMENTS)
@pytest.mark.parametrize("enc", ["A128CBC-HS256", "A256GCM"])
async def test_9701_an_encrypted_answer(name: str, alg: str, enc: str) -> None:
    """RFC 9701 section 5: signed, then encrypted, with the header members real servers add."""
    header = {"iss": ISSUER, "aud": CLIENT, "kid": "whatever"}
    server = server_that(encrypted(signed(), name, alg, enc, **header))
    assert isinstance(await server.introspected(signed=True, decryption=decryption(name))("0paque"), Active)


@pytest.mark.parametrize("enc", ENCODINGS)
async def test_9701_every_content_encryption(enc: str) -> None:
    """Those of RFC 7518 section 5."""
    server = server_that(encrypted(signed(), "P-256", "ECDH-ES", enc))
    assert isinstance(await server.introspected(signed=True, decryption=decryption("P-256"))("0paque"), Active)


async def test_9701_any_of_our_keys_opens() -> None:
    """While the registered key is being changed, answers to the old and to the new one open."""
    for name, alg in (("RSA", "RSA-OAEP-256"), ("X25519", "ECDH-ES"), ("P-256", "ECDH-ES")):
        server = server_that(encrypted(signed(), name, alg))
        found = await server.introspected(signed=True, decryption=decryption("P-256", "X25519", "RSA"))("0paque")
        assert isinstance(found, Active)


async def test_9701_an_answer_that_is_signed_only_counts_before_the_server_encrypts() -> None:
    """The signature is what makes it true; the key can be here before it is registered there."""
    found = await server_that(signed()).introspected(signed=True, decryption=decryption("P-256"))("0paque")
    assert isinstance(found, Active)


def spoilt(jwe: str) -> dict[str, str]:
    """An encrypted answer, and what an attacker could make of it."""
    header, key, iv, text, tag = jwe.split(".")
    return {
        "another tag": ".".join((header, key, iv, text, "A" * len(tag))),
        "no tag": ".".join((header, key, iv, text, "")),
        "another text": ".".join((header, key, iv, "A" + text[1:], tag)),
        "no text": ".".join((header, key, iv, "", tag)),
        "no iv": ".".join((header, key, "", text, tag)),
        "a key too many": ".".join((header, "AAAA", iv, text, tag)),
        "a header of nothing": ".".join(("", key, iv, text, tag)),
        "a header that is a list": ".".join(("W10", key, iv, text, tag)),
        "a header that is a number": ".".join(("MQ", key, iv, text, tag)),
        "only dots": "....",
        "not base64": "!.!.!.!.!",
        "letters that are not ASCII": "é" + jwe,
        "too long": ".".join((header, key, iv, "A" * 70_000, tag)),
    }


BAD_JWES = {
    **spoilt(encrypted(signed(), "P-256", "ECDH-ES")),
    "of another key": encrypted(signed(), "P-384", "ECDH-ES"),
    "of another kind of key": encrypted(signed(), "RSA", "RSA-OAEP-256"),
    "by an algorithm not in the list": encrypted(signed(), "RSA", "RSA-OAEP"),
    "compressed": encrypted(signed(), "P-256", "ECDH-ES", zip="DEF"),
    "with JSON inside": encrypted(json.dumps(GOOD), "P-256", "ECDH-ES"),
    "with bytes inside": encrypted("é", "P-256", "ECDH-ES"),
    "with an unsigned JWT inside": encrypted(
        unsigned({"alg": "none", "typ": "token-introspection+jwt"}, {"token_introspection": GOOD}), "P-256", "ECDH-ES"
    ),
    "with another encrypted one inside": encrypted(encrypted(signed(), "P-256", "ECDH-ES"), "P-256", "ECDH-ES"),
    "with an access token inside": encrypted(token(), "P-256", "ECDH-ES"),
    "by a shared key": encrypt_compact(
        {"alg": "dir", "enc": "A256GCM"},
        signed(),
        OctKey.generate_key(256),
        registry=JWERegistry(algorithms=["dir", "A256GCM"]),
    ),
}


@pytest.mark.parametrize("answer", BAD_JWES.values(), ids=BAD_JWES)
async def test_9701_encrypted_answers_that_do_not_count(answer: str) -> None:
    """Whatever is wrong with it, it is one kind of trouble; being encrypted to our public key proves nothing."""
    server = Server()
    server.answers[INTROSPECT] = httpx2.Response(
        200, content=answer.encode("latin-1"), headers={"content-type": SIGNED}
    )
    assert await trouble(server, signed=True, decryption=decryption("P-256", "X25519"))


CURVES = {
    "off the curve": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    "on another curve": ECKey.generate_key("P-384", private=False).as_dict(private=False),
    "no key": {},
    "a number": 7,
    "nothing": None,
    "all zeros": {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
}


@pytest.mark.parametrize("epk", CURVES.values(), ids=CURVES)
async def test_9701_hostile_ephemeral_keys(epk: object) -> None:
    """A point that is not on our curve is refused like everything else."""
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "epk": epk}
    first = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    jwe = f"{first}..{'A' * 16}.AAAA.{'A' * 22}"
    assert await trouble(server_that(jwe), signed=True, decryption=decryption("P-256", "X25519"))


async def test_9701_encrypted_without_a_key_says_so() -> None:
    """Where no key is configured, the log says which setting is missing."""
    server = server_that(encrypted(signed(), "P-256", "ECDH-ES"))
    assert "introspection_key_files" in await trouble(server, signed=True)


async def test_no_secret_is_shown() -> None:
    """Neither the members of an answer nor our keys appear when the values are printed."""
    found = await introspect({"email": "canary@example"})
    assert "canary" not in repr(found)
    assert str(KEY.private_numbers().private_value) not in repr(decryption("P-256"))
