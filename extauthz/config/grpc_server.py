"""Which of two servers speaks gRPC with Envoy.

The fast one rests on zttp, which is young: only the very release it has been proved with is taken.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import Literal

GrpcServer = Literal["auto", "fast", "grpcio"]

ZTTP = "0.0.35"  # as in pyproject.toml


def chosen(server: GrpcServer, *, reflection: bool) -> Literal["fast", "grpcio"]:
    """The server that will run."""
    if server == "auto":
        return "grpcio" if reflection or _installed() != ZTTP else "fast"
    return server


def require_fast(*, reflection: bool) -> None:
    """Raise ValueError unless the fast server can run."""
    if reflection:
        raise ValueError("the fast server has no reflection; leave one of the two out")
    found = _installed()
    if found != ZTTP:
        state = "is not installed" if found is None else f"is installed as {found}"
        raise ValueError(f"zttp {ZTTP} is needed and {state}: pip install 'envoy-token-handler[fast]', or use grpcio")


def _installed() -> str | None:
    try:
        return version("zttp")
    except PackageNotFoundError:
        return None
