"""The pieces of an Envoy configuration that go with ours: the ext_authz filter, and the cluster of all workers.

They are those of the reference, envoy/envoy.yaml, where the comments say why. Plain groups and lists: what checks them
is Envoy.
"""

from ipaddress import ip_address
from typing import Any

import yaml

from extauthz.config import AppConfig, Config, v1_cookie_names
from extauthz.config.listening import PREFIX
from extauthz.config.model import TlsConfig

Piece = dict[str, Any]

CLUSTER = "extauthz"
SERVICE = "envoy.service.auth.v3.Authorization"
EXTENSIONS = "type.googleapis.com/envoy.extensions"
HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
EVERY_ADDRESS = ("0.0.0.0", "[::]", "::")  # noqa: S104  # where one listens, but nobody is found
HEADERS = (
    "cookie",
    "authorization",
    "origin",
    "token-handler-version",
    "sec-fetch-site",
    "access-control-request-method",
    "access-control-request-headers",
    "x-request-id",
)
OTHER_SPELLINGS = "[^:]*[^a-z0-9:-].*"
RETRIES: Piece = {
    "retry_on": "connect-failure,refused-stream,unavailable,reset",
    "num_retries": 2,
    "host_selection_retry_max_attempts": 5,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": f"{EXTENSIONS}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
        }
    ],
}
PREAMBLE = """\
# For Envoy, made by `extauthz envoy-config`: http_filters after cors and before the router, clusters beside the others.
# envoy/envoy.yaml of this project says why each line is there.
"""
TLS_PREAMBLE = "# The files below /etc/envoy/tls are to be named as they are on Envoy's machine.\n"


class NoAddress(Exception):
    """Where Envoy finds the proxy cannot be told; the message says why."""


def written(config: Config, host: str | None) -> str:
    """Both pieces as YAML. `host`: how Envoy finds the proxy, if not as it listens. Raises NoAddress."""
    cluster = cluster_of(config, host)
    pieces = {"http_filters": [filter_of(config)], "clusters": [cluster]}
    preamble = PREAMBLE + (TLS_PREAMBLE if "transport_socket" in cluster else "")
    return preamble + yaml.safe_dump(pieces, sort_keys=False, width=120)


def filter_of(config: Config) -> Piece:
    """The HTTP filter."""
    names = [*HEADERS, *_csrf_headers(config)]
    patterns = [*({"exact": name} for name in names), {"safe_regex": {"regex": OTHER_SPELLINGS}}]
    settings = {
        "@type": f"{EXTENSIONS}.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": {
            "envoy_grpc": {"cluster_name": CLUSTER},
            "timeout": "2s",
            "retry_policy": RETRIES,
        },
        "failure_mode_allow": False,
        "status_on_error": {"code": "ServiceUnavailable"},
        "encode_raw_headers": True,
        "validate_mutations": True,
        "allowed_headers": {"patterns": patterns},
    }
    return {"name": "envoy.filters.http.ext_authz", "typed_config": settings}


def cluster_of(config: Config, host: str | None) -> Piece:
    """The cluster: an endpoint for each worker, by the first of its listeners. Raises NoAddress."""
    settings = config.extauthz
    listeners = [of_one[0] for of_one in settings.worker_listeners]
    on_socket = listeners[0].startswith(PREFIX)
    if on_socket and host is not None:
        raise NoAddress(f"--host: Envoy finds {listeners[0]} by its path")
    addresses = [_pipe(one) if on_socket else _socket_address(one, host) for one in listeners]
    cluster = {
        "name": CLUSTER,
        "type": "STATIC" if on_socket else "STRICT_DNS",
        "connect_timeout": "0.25s",
        "typed_extension_protocol_options": {
            HTTP: {
                "@type": f"type.googleapis.com/{HTTP}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "circuit_breakers": {"thresholds": [{"max_requests": 4096, "max_pending_requests": 4096, "max_retries": 1024}]},
        "health_checks": [
            {
                "grpc_health_check": {"service_name": SERVICE},
                "interval": "0.5s",
                "no_traffic_interval": "0.5s",
                "timeout": "0.5s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
            }
        ],
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}} for address in addresses]}],
        },
    }
    if settings.tls is not None and not on_socket:
        cluster["transport_socket"] = _transport_socket(settings.tls, addresses[0]["socket_address"]["address"])
    return cluster


def _csrf_headers(config: Config) -> list[str]:
    """The headers that apps with cookies of earlier token handlers send the CSRF token in."""
    return sorted({v1_cookie_names(name, app).csrf_header for name, app in config.apps.items() if _is_v1(app)})


def _is_v1(app: AppConfig) -> bool:
    return app.cookie.format == "aes-gcm"


def _pipe(address: str) -> Piece:
    return {"pipe": {"path": address.removeprefix(PREFIX)}}


def _socket_address(address: str, host: str | None) -> Piece:
    own, _, port = address.rpartition(":")
    if host is None and own in EVERY_ADDRESS:
        raise NoAddress(f"extauthz.listen: {own} is every address of this machine; --host says how Envoy finds it")
    return {"socket_address": {"address": (host or own).strip("[]"), "port_value": int(port)}}


def _transport_socket(tls: TlsConfig, host: str) -> Piece:
    kind = "IP_ADDRESS" if _is_ip(host) else "DNS"
    validation = {
        "trusted_ca": {"filename": "/etc/envoy/tls/ca.pem"},
        "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": host}}],
    }
    common: Piece = {"alpn_protocols": ["h2"], "validation_context": validation}
    if tls.client_ca_file is not None:
        pair = {"certificate_chain": "envoy.pem", "private_key": "envoy-key.pem"}
        common["tls_certificates"] = [{key: {"filename": f"/etc/envoy/tls/{name}"} for key, name in pair.items()}]
    settings = {
        "@type": f"{EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext",
        **({} if _is_ip(host) else {"sni": host}),  # RFC 6066 section 3: names alone
        "common_tls_context": common,
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": settings}


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
