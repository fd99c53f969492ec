"""Envoy's messages by another hand: envoy-data-plane's betterproto classes, generated from Envoy's own files."""

import warnings

with warnings.catch_warnings():
    # Its generated models use pydantic in a way that has since been deprecated; no concern of ours.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    import envoy_data_plane.envoy.config.core.v3 as core
    import envoy_data_plane.envoy.service.auth.v3 as auth
    import envoy_data_plane.envoy.type.v3 as types
    import envoy_data_plane.google.rpc as rpc

__all__ = ["auth", "core", "rpc", "types"]
