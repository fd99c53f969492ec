"""The apps and routes that end-to-end tests need beside the demo's."""

from collections.abc import Mapping
from typing import Any

CHECK = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"
CORS = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"

SHOP: dict[str, Any] = {
    "hosts": ["localhost"],
    "upstream": {"required_scopes": ["orders"]},
    "allow_http": True,
    "identity_headers": {"x-user-id": "sub"},
    "routes": [
        {"path": "/api/public", "auth": "off"},
        {"path": "/public/feed", "auth": "optional"},
        {"path": "/public/me", "upstream": "opaque"},
        {"path": "/api/admin", "scope": "admin"},
        {"path": "/api/events", "csrf": "origin"},
    ],
}
# Each lives on its own host, NAME.example.
APPS: dict[str, dict[str, Any]] = {
    "mobile": {"upstream": {"client_id": "gateway", "client_secret_file": "proxy-secret", "bearer": "introspect"}},
    "native": {"upstream": {"bearer": "jwt", "audience": "api", "way": "jwt"}},
    "cors": {"cors": {"expose_headers": ["x-total"]}},
    "dry": {"dry_run": True},
    "exchange": {
        "upstream": {
            "client_id": "gateway",
            "client_secret_file": "proxy-secret",
            "way": "exchange",
            "audience": "api",
            "required_scopes": ["orders"],
        },
        "identity_headers": {"x-user-id": "sub"},
        "routes": [
            {"path": "/public/books", "audience": "books", "scope": "profile"},
            {"path": "/public/bank", "audience": "bank"},
            {"path": "/public/admin", "scope": "admin"},
        ],
    },
}


def route(path: str, **extensions: str) -> dict[str, Any]:
    """A route to the API with settings for the proxy."""
    return _route(path, {"check_settings": {"context_extensions": extensions}})


def without_envoys_cors(host: str) -> dict[str, Any]:
    """A route where nobody but the proxy does CORS."""
    nowhere = {"filter_enabled": {"default_value": {"numerator": 0}}}
    return at_host({"exact": host}) | {
        "typed_per_filter_config": {"envoy.filters.http.cors": {"@type": CORS, **nowhere}}
    }


def at_host(match: Mapping[str, str]) -> dict[str, Any]:
    """A route to the API by the host alone."""
    headers = [{"name": ":authority", "string_match": match}]
    return {"match": {"prefix": "/", "headers": headers}, "route": {"cluster": "api"}}


def _route(path: str, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    made: dict[str, Any] = {"match": {"prefix": path}, "route": {"cluster": "api"}}
    if settings is not None:
        made["typed_per_filter_config"] = {"envoy.filters.http.ext_authz": {"@type": CHECK, **settings}}
    return made


# The first two an operator got wrong; the others are as they should be.
ROUTES = [
    route("/another-app", app="nobody"),
    route("/strange-setting", auth="sometimes"),
    route("/public/by-route", auth="off"),
    route("/api/by-route", scope="admin"),
    route("/public/reports", upstream="exchange", audience="books", resource="https://reports.example/"),
    without_envoys_cors("cors.example"),
    at_host({"suffix": ".example"}),
    _route("/public/", None),
]
