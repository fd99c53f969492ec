"""Wheels for a build without network: downloaded where pip is configured, in the versions installed here."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path

from containers.cache import cache_dir


def wheelhouse(requirements: Sequence[str]) -> Path:
    """Return a directory with the wheels of `requirements` and of all they require."""
    pins = sorted({f"{found.name}=={found.version}" for found in distributions()})
    key = hashlib.sha256("\n".join([sys.version, *sorted(requirements), "", *pins]).encode()).hexdigest()[:16]
    home = cache_dir("wheels")
    if not (home / key).exists():
        with tempfile.TemporaryDirectory(dir=home) as work:
            _download(requirements, pins, Path(work))
            (Path(work) / "wheels").rename(home / key)
    return home / key


def _download(requirements: Sequence[str], pins: Sequence[str], work: Path) -> None:
    (work / "pins.txt").write_text("\n".join(pins))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
    command += ["--constraint", str(work / "pins.txt"), "--dest", str(work / "wheels"), *requirements]
    # Under `PYTHONWARNINGS=error`, as tox sets it, pip's own warnings would end it.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pip download failed: {done.stderr.strip()[-500:]}")
