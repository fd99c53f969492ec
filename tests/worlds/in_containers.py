"""The demo's world in containers: one image for proxy and agent, one for the demo's servers, and Envoy."""

import os
from pathlib import Path

from containers.images import demo_image, envoy_image, product_image
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy, WaitStrategy

from demo.settings import Places, Settings
from demo.world import ENVOY_OPTIONS

PLACES = Places(
    issuer="http://idp:9000",
    idp=("idp", 9000),
    api=("api", 8081),
    spa=("spa", 8082),
    agent=("agent", 8080),
    extauthz=("extauthz", 9191),
)
CONFIG = "/etc/token-handler"
START_SECONDS = 60


class ContainerWorld:
    """A context manager with the interface of demo.world.LocalWorld."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._network = Network()
        self._running: dict[str, DockerContainer] = {}

    @property
    def origin(self) -> str:
        """Where the browser goes."""
        return self.settings.places.origin

    @property
    def issuer(self) -> str:
        """What the identity provider is called inside."""
        return self.settings.places.issuer

    @property
    def resolve(self) -> dict[str, str]:
        """Where the published ports of Envoy and identity provider are."""
        return {"localhost:10000": self._published("envoy", 10000), "idp:9000": self._published("idp", 9000)}

    def control(self, program: str) -> str:
        """The base URL of a program's test control."""
        return f"http://{self._published(program, getattr(self.settings.places, program)[1])}/_control"

    def __enter__(self) -> "ContainerWorld":
        self.settings.write()
        for file in self.settings.folder.iterdir():
            file.chmod(0o644)  # the product runs as a user who owns nothing here
        self._network.create()
        try:
            for program in ("idp", "api", "spa", "agent", "extauthz", "envoy"):
                self._running[program] = self._container(program).start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for program, container in reversed(self._running.items()):
            (self.settings.folder / f"{program}.log").write_text(_written(container))
            container.stop()
        self._network.remove()

    def stop(self, program: str) -> None:
        """Stop one container."""
        self._running[program].get_wrapped_container().stop()

    def start(self, program: str) -> None:
        """Start it again and wait until it serves."""
        container = self._running[program]
        container.get_wrapped_container().start()
        container.get_wrapped_container().reload()
        self._ready(program).wait_until_ready(container)

    def logs(self) -> str:
        """What all programs have written."""
        return "\n".join(_written(container) for container in self._running.values())

    def _container(self, program: str) -> DockerContainer:
        image = {"envoy": envoy_image, "agent": _product, "extauthz": _product}.get(program, demo_image)()
        container = (
            DockerContainer(image, network=self._network, network_aliases=[program])
            .with_command(self._command(program))
            .waiting_for(self._ready(program))
        )
        for port in (getattr(self.settings.places, program)[1], *([9901] if program == "envoy" else [])):
            container.with_exposed_ports(port)
        for file in self.settings.folder.iterdir():
            container.with_volume_mapping(str(file), f"{CONFIG}/{file.name}", "ro")
        if program != "envoy":
            container.with_kwargs(read_only=True, cap_drop=["ALL"], security_opt=["no-new-privileges"])
        return container

    def _command(self, program: str) -> list[str]:
        listen = ["--listen", self.settings.listener(program)]
        config = ["--config", f"{CONFIG}/{self.settings.config.name}"]
        clients = ["--clients", f"{CONFIG}/{self.settings.clients.name}"]
        issuer = ["--issuer", self.issuer]
        return {
            "idp": ["python", "-m", "demo.idp", *issuer, *listen, *clients, "--control"],
            "api": ["python", "-m", "demo.api", *issuer, *listen, "--control"],
            "spa": ["python", "-m", "demo.serve", *listen],
            "agent": ["oauth-agent", "serve", *config],
            "extauthz": ["extauthz", "serve", *config],
            "envoy": ["-c", f"{CONFIG}/{self.settings.envoy.name}", *ENVOY_OPTIONS],
        }[program]

    def _ready(self, program: str) -> WaitStrategy:
        if program == "extauthz":
            return LogMessageWaitStrategy("listening").with_startup_timeout(START_SECONDS)
        path = {"api": "/_control/healthz", "envoy": "/ready"}.get(program, "/healthz")
        port = 9901 if program == "envoy" else getattr(self.settings.places, program)[1]
        return HttpWaitStrategy(port, path).for_status_code(200).with_startup_timeout(START_SECONDS)

    def _published(self, program: str, port: int) -> str:
        container = self._running[program]
        return f"{container.get_container_host_ip()}:{container.get_exposed_port(port)}"


def _product() -> str:
    # tox names the wheel it has built; without tox it is built from the checkout.
    wheel = os.environ.get("TOX_PACKAGE")
    return product_image(Path(wheel.split(os.pathsep)[0]) if wheel else None)


def _written(container: DockerContainer) -> str:
    return b"".join(container.get_logs()).decode(errors="replace")
