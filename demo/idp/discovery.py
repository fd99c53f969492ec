"""What the provider says about itself: OpenID Connect Discovery and the JWKS."""

from starlette.requests import Request
from starlette.responses import JSONResponse

from demo.idp.assertions import ALGORITHMS
from demo.idp.authorization_request import ACR_VALUES, RESPONSE_MODES
from demo.idp.exchange import GRANT_TYPE as TOKEN_EXCHANGE
from demo.idp.keys import ALGORITHM
from demo.idp.people import PEOPLE
from demo.idp.provider import Provider

CLIENT_AUTHENTICATION = ["client_secret_basic", "client_secret_post", "private_key_jwt"]


class Discovery:
    """The two public documents."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def metadata(self, _request: Request) -> JSONResponse:
        """GET /.well-known/openid-configuration."""
        config = self._provider.config
        scopes = {scope for client in config.clients for scope in client.scope.split()}
        return JSONResponse(
            {
                **_endpoints(config.issuer),
                **_abilities(sorted(scopes)),
                "require_pushed_authorization_requests": self._provider.mode.require_par,
            }
        )

    async def jwks(self, _request: Request) -> JSONResponse:
        """GET /jwks."""
        return JSONResponse(self._provider.keys.jwks())


def _endpoints(issuer: str) -> dict[str, object]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "pushed_authorization_request_endpoint": f"{issuer}/par",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "introspection_endpoint": f"{issuer}/introspect",
        "revocation_endpoint": f"{issuer}/revoke",
        "end_session_endpoint": f"{issuer}/logout",
        "jwks_uri": f"{issuer}/jwks",
    }


def _abilities(scopes: list[str]) -> dict[str, object]:
    return {
        "acr_values_supported": list(ACR_VALUES),
        "authorization_signing_alg_values_supported": [ALGORITHM],
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "claims_supported": ["sub", "sid", "auth_time", *PEOPLE[0].claims()],
        "code_challenge_methods_supported": ["S256"],
        "grant_types_supported": ["authorization_code", "refresh_token", TOKEN_EXCHANGE],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "introspection_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "prompt_values_supported": ["none", "login"],
        "response_modes_supported": list(RESPONSE_MODES),
        "response_types_supported": ["code"],
        "revocation_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "scopes_supported": scopes,
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
    }
