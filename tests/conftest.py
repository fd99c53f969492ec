"""What all tests share: the async backend, the way to the demo's servers, and which world end-to-end tests live in."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from proxy_world.door import GrpcServer

# At the end: the installed product comes first, so that the wheel that ships is the wheel that is tested.
sys.path.append(str(Path(__file__).parent.parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--world containers` runs the end-to-end tests in containers."""
    parser.addoption("--world", choices=["local", "containers"], default="local")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Coroutine tests run on the event loop both programs use."""
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture(params=["grpcio", "fast"])
def server(request: pytest.FixtureRequest) -> "GrpcServer":
    """Each of the servers that speak gRPC with Envoy, in turn."""
    from proxy_world.door import SERVERS

    return SERVERS[request.param]
