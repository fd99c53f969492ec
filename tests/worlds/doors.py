"""The demo's settings with the HTTP doors in them, and an Envoy that asks there instead of by gRPC."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from demo.settings import Settings

STANZAS = Path(__file__).parent.parent.parent / "envoy" / "http-service.yaml"
CORS = "envoy.filters.http.cors"


@dataclass(frozen=True, slots=True, kw_only=True)
class WithDoors(Settings):
    """`http` goes into the settings of the doors. `envoys_cors`: Envoy answers preflights, not the proxy."""

    http: Mapping[str, Any] = field(default_factory=dict)
    envoys_cors: bool = True

    def write(self) -> None:
        """Write all files."""
        Settings.write(self)
        config = yaml.safe_load(self.config.read_text())
        config["extauthz"]["http"] |= self.http
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))
        self.envoy.write_text(json.dumps(self._asks_over_http(json.loads(self.envoy.read_text()))))

    def _asks_over_http(self, envoy: dict[str, Any]) -> dict[str, Any]:
        stanzas, resources = yaml.safe_load(STANZAS.read_text()), envoy["static_resources"]
        manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        filters = {one["name"]: one for one in [*manager["http_filters"], *stanzas["http_filters"]]}
        assert len(filters) == len(manager["http_filters"]), "the filter takes the place of the one that asks by gRPC"
        resources["clusters"] = [one for one in resources["clusters"] if one["name"] != "extauthz"]
        for cluster in stanzas["clusters"]:
            [endpoint] = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
            address = endpoint["endpoint"]["address"]["socket_address"]
            address["address"], address["port_value"] = getattr(self.places, cluster["name"])
            resources["clusters"].append(cluster)
        if not self.envoys_cors:
            del filters[CORS], manager["route_config"]["virtual_hosts"][0]["typed_per_filter_config"][CORS]
        manager["http_filters"] = list(filters.values())
        return envoy
