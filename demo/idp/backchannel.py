"""OpenID Connect Back-Channel Logout 1.0: telling clients, server to server, that a session is over."""

import secrets
from collections.abc import Mapping

import httpx2

from demo.idp.config import Client
from demo.idp.mode import override
from demo.idp.provider import Provider

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TOKEN_SECONDS = 120
SEND_SECONDS = 5.0


def logout_token(provider: Provider, client_id: str, overrides: Mapping[str, object], typ: str = "logout+jwt") -> str:
    """A signed logout token (section 2.4); `overrides` say whose session, and replace members, null drops one."""
    claims: dict[str, object] = {
        "iss": provider.config.issuer,
        "aud": client_id,
        "iat": provider.now(),
        "exp": provider.now() + TOKEN_SECONDS,
        "jti": secrets.token_urlsafe(12),
        "events": {EVENT: {}},
    }
    return provider.sign(override(claims, overrides), typ)


async def tell_clients(provider: Provider, sid: str) -> None:
    """Tell every client that took part in the session, and wants to be told. Who does not listen is not waited for."""
    for client in provider.config.clients:
        if client.backchannel_logout_uri is not None and provider.grants.took_part(sid, client.client_id):
            await _send(provider, client, client.backchannel_logout_uri, sid)


async def _send(provider: Provider, client: Client, uri: str, sid: str) -> None:
    token = logout_token(provider, client.client_id, {"sid": sid})
    try:
        async with httpx2.AsyncClient(timeout=SEND_SECONDS) as http:
            await http.post(uri, data={"logout_token": token})
    except httpx2.HTTPError:
        provider.counters["unheard"] += 1
