"""An issuer's signing keys, and checking signatures with them (RFC 7515, RFC 7517).

Keys are fetched when needed. An unknown key id asks again, for one caller on behalf of all, and not more often
than the cool-down: a flood of made-up key ids must not become a flood at the authorization server.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from extauthz.oauth import strict_json
from extauthz.oauth.errors import AuthorizationServerError, InvalidToken, Trouble
from extauthz.oauth.http import HttpClient, require_success
from extauthz.oauth.metadata import KEEP_SECONDS, Discovery, endpoint
from extauthz.oauth.refreshed import Refreshed

COOL_DOWN_SECONDS = 10.0
# Asymmetric only: with an HMAC algorithm the public key would be the secret (RFC 8725 section 2.1).
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
MAX_TOKEN_CHARACTERS = 16 * 1024  # more than any gateway takes as a header
# With a private member in it, factors would be looked for, for minutes and in Python.
PUBLIC = ("kty", "n", "e", "crv", "x", "y")
MAX_KEYS = 200
# RFC 7518 section 3.3: RSA keys of 2048 bits or more.
JWS = jwt.PyJWS(options={"enforce_minimum_key_length": True})
COMPACT_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


class KeySet:
    """The keys of one issuer. `clock`: seconds, any origin."""

    def __init__(self, discovery: Discovery, http: HttpClient, clock: Callable[[], float]) -> None:
        self._discovery, self._http = discovery, http
        self._keys = Refreshed(self._fetch, clock)

    async def verify(self, token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Header and claims of a JWS in compact form whose signature is good.

        Raises InvalidToken when it is not, AuthorizationServerError when the keys cannot be had. Claims are not
        looked at: what they must say depends on what the token is for.
        """
        header = _header(token)
        key = await self._key(header)
        try:
            parts = JWS.decode_complete(token, key, algorithms=[header["alg"]])
            claims = strict_json.loads(parts["payload"])
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise InvalidToken("the signature does not verify") from error
        if not isinstance(claims, dict):
            raise InvalidToken("the claims are not a JSON object")
        return header, claims

    async def fetch(self) -> None:
        """Have the keys ready. Raises AuthorizationServerError."""
        await self._keys.get(KEEP_SECONDS)

    async def _key(self, header: Mapping[str, Any]) -> jwt.PyJWK:
        found = _find(await self._keys.get(KEEP_SECONDS), header)
        if found is None:
            # Keys that cannot be fetched just now are the server's trouble, not proof of a forged token.
            found = _find(await self._keys.get(COOL_DOWN_SECONDS, or_older=False), header)
        if found is None:
            raise InvalidToken("signed with a key the issuer does not publish")
        try:
            return jwt.PyJWK({name: found[name] for name in PUBLIC if name in found}, algorithm=header["alg"])
        except jwt.PyJWTError as error:
            raise InvalidToken("signed with an algorithm its key does not fit") from error

    async def _fetch(self) -> list[Mapping[str, Any]]:
        metadata = await self._discovery.metadata()
        reply = await self._http.get(endpoint(metadata.jwks_uri, "jwks_uri"))
        require_success(reply, "the key set")
        keys = reply.json().get("keys")
        if not isinstance(keys, list):
            raise AuthorizationServerError(Trouble.BAD_ANSWER, "the key set has no keys")
        return [key for key in keys[:MAX_KEYS] if isinstance(key, dict)]


def _find(keys: list[Mapping[str, Any]], header: Mapping[str, Any]) -> Mapping[str, Any] | None:
    kid, alg = header.get("kid"), header["alg"]
    usable = [key for key in keys if key.get("use", "sig") == "sig" and key.get("alg", alg) == alg]
    fitting = [key for key in usable if kid is None or key.get("kid") == kid]
    # Without a key id there must be no choice to make.
    return fitting[0] if len(fitting) == 1 else None


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise InvalidToken(f"longer than {MAX_TOKEN_CHARACTERS} characters")
    if not COMPACT_JWS.fullmatch(token):
        raise InvalidToken("not a signed JWT in compact form")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise InvalidToken("not a signed JWT in compact form") from error
    if not isinstance(header.get("alg"), str) or header["alg"] not in ALGORITHMS:
        raise InvalidToken("signed with an algorithm that is not accepted")
    if "crit" in header:
        raise InvalidToken("carries a critical header we do not know")  # RFC 7515 section 4.1.11
    return header
