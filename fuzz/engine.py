"""libFuzzer, by way of atheris: runs one target in this process, and ends the process.

atheris comes without types; these are the three calls we make.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, cast

from fuzz.targets import load

LONGEST = 4096  # bytes of an input; what is longer finds nothing that this does not
SLOWEST = 10  # seconds for one input


class Atheris(Protocol):
    """The part of the module that we use."""

    def instrument_imports(self, include: Sequence[str]) -> AbstractContextManager[object]:
        """Watch the branches of what is imported meanwhile."""

    def Setup(self, args: list[str], test_one_input: Callable[[bytes], None]) -> list[str]:  # noqa: N802
        """Prepare."""

    def Fuzz(self) -> None:  # noqa: N802
        """Run, and exit."""


def fuzz(name: str, runs: int, folder: Path) -> None:
    """Run target `name` on what grows from its seeds. An input that fails is left in `folder`, named crash-*."""
    atheris = cast(Atheris, importlib.import_module("atheris"))
    with atheris.instrument_imports(include=["extauthz"]):
        target = load(name)
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(target.seeds()):
        (corpus / str(number)).write_bytes(seed)
    options = [f"-runs={runs}", f"-max_len={LONGEST}", f"-timeout={SLOWEST}", f"-artifact_prefix={folder}/"]
    atheris.Setup([name, *options, str(corpus)], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
