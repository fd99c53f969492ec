"""private_key_jwt as a strict server verifies it (RFC 7523 section 3, RFC 10070)."""

import jwt

from demo.idp.config import Client
from demo.idp.errors import OAuthError
from demo.idp.provider import Provider

ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"]
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TYPES = {None, "jwt", "client-authentication+jwt"}  # RFC 10070: explicit typing may be left out
MAX_SECONDS = 300  # no assertion is good for longer
CLAIMS = ["iss", "sub", "aud", "exp", "jti"]


def asserted(form: dict[str, str], provider: Provider) -> Client:
    """Return the client that has signed the assertion in the form."""
    assertion = form["client_assertion"]
    provider.canary.seen(assertion)
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
        client = provider.config.client(str(claims.get("iss")))
        if client is None or form.get("client_assertion_type") != TYPE:
            raise jwt.InvalidTokenError("no client of ours, or no assertion of a type we know")
        claims = _verified(assertion, client)
        _check(claims, client, form, provider)
    except jwt.PyJWTError as error:
        raise OAuthError("invalid_client", "client authentication failed", 401) from error
    provider.assertions.add((client.client_id, str(claims["jti"])))
    return client


def _verified(assertion: str, client: Client) -> dict[str, object]:
    header = jwt.get_unverified_header(assertion)
    typ = header.get("typ")
    keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(dict(client.jwks or {"keys": []})).keys}
    if (typ.lower() if isinstance(typ, str) else typ) not in TYPES or header.get("kid") not in keys:
        raise jwt.InvalidTokenError("another kind of JWT, or another key")
    # Times by our own clock, and the audience by `_check`: here a list would do.
    options: jwt.types.Options = {"verify_exp": False, "verify_iat": False, "verify_aud": False, "require": CLAIMS}
    return jwt.decode(assertion, keys[header["kid"]], ALGORITHMS, options=options)


def _check(claims: dict[str, object], client: Client, form: dict[str, str], provider: Provider) -> None:
    exp, now = claims["exp"], provider.now()
    rules = (
        claims["iss"] == claims["sub"] == client.client_id == form.get("client_id", client.client_id),
        claims["aud"] == provider.config.issuer,
        isinstance(exp, int) and now < exp <= now + MAX_SECONDS,
        (client.client_id, claims["jti"]) not in provider.assertions,
    )
    if not all(rules):
        raise jwt.InvalidTokenError("claims that are not good here")
