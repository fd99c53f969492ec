"""The demo's settings with more in them: further apps, and an Envoy as Istio would configure it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from demo.settings import APP, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshaped(Settings):
    """`more_apps` are like the demo's, with these settings in place of its own.

    `as_istio`: every header reaches the proxy, repeated ones joined by commas, and Envoy settles no path.
    """

    more_apps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    as_istio: bool = False

    def write(self) -> None:
        """Write all files."""
        Settings.write(self)
        config = yaml.safe_load(self.config.read_text())
        for name, settings in self.more_apps.items():
            usual = {"spa_url": f"https://www.{name}.example/", "hosts": [f"{name}.example"], "agent_path": f"/{name}"}
            config["apps"][name] = config["apps"][APP] | {"routes": []} | usual | settings
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))
        if self.as_istio:
            self.envoy.write_text(json.dumps(_as_istio(json.loads(self.envoy.read_text()))))


def _as_istio(envoy: dict[str, Any]) -> dict[str, Any]:
    manager = envoy["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    for settled in ("normalize_path", "merge_slashes", "path_with_escaped_slashes_action", "use_remote_address"):
        del manager[settled]
    del manager["common_http_protocol_options"]["headers_with_underscores_action"]
    # The reference would send what starts like this to the app's pages, which need no proxy.
    unsettled = {"match": {"safe_regex": {"regex": r"/(/|\./).*"}}, "route": {"cluster": "api"}}
    manager["route_config"]["virtual_hosts"][0]["routes"].insert(0, unsettled)
    [filter_] = [found for found in manager["http_filters"] if found["name"].endswith("ext_authz")]
    for raw in ("encode_raw_headers", "allowed_headers", "validate_mutations"):
        del filter_["typed_config"][raw]
    return envoy
