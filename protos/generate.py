"""Generates extauthz/_pb from the .proto files beside this one.

Without arguments it compares and exits with 1 when the checked-in code differs; `--write` replaces it. The
modules are re-rooted under `extauthz._pb`: as a top-level package, `envoy` would hide other people's.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
TARGET = HERE.parent / "extauthz" / "_pb"
INIT = '"""Generated from protos/ by `tox -e protos -- --write`; never edited by hand."""\n'
# `from envoy.x import y_pb2` and `import envoy.x.y_pb2`, but not google.protobuf, which is the runtime's own.
FOREIGN_IMPORT = re.compile(r"^(from|import) (envoy|grpc\.health|google\.rpc)\b", re.MULTILINE)


def generate(out: Path) -> None:
    """Run protoc into `out` and make the result importable as `extauthz._pb`."""
    sources = sorted(str(path.relative_to(HERE)) for path in HERE.rglob("*.proto"))
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={out}", f"--pyi_out={out}"]
    subprocess.run([*protoc, *sources], cwd=HERE, check=True)  # noqa: S603  # our own command line
    for module in [*out.rglob("*.py"), *out.rglob("*.pyi")]:
        module.write_text(FOREIGN_IMPORT.sub(r"\1 extauthz._pb.\2", module.read_text()))
    for folder in [out, *(path for path in out.rglob("*") if path.is_dir())]:
        (folder / "__init__.py").write_text(INIT)


def tree(root: Path) -> dict[str, str]:
    """Every generated file below `root`, by relative path."""
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*.py*") if path.suffix != ".pyc"}


def differences(fresh: dict[str, str], kept: dict[str, str]) -> Iterator[str]:
    """One line for each file that is missing, left over or different."""
    for name in sorted(fresh.keys() | kept.keys()):
        if name not in kept:
            yield f"missing: {name}"
        elif name not in fresh:
            yield f"left over: {name}"
        elif fresh[name] != kept[name]:
            yield f"different: {name}"


def write(fresh: dict[str, str], kept: dict[str, str]) -> None:
    """Make the checked-in tree equal to `fresh`."""
    for name in kept.keys() - fresh.keys():
        (TARGET / name).unlink()
    for name, text in fresh.items():
        (TARGET / name).parent.mkdir(parents=True, exist_ok=True)
        (TARGET / name).write_text(text)


def main() -> int:
    """Compare, or with `--write` replace."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh, kept = tree(Path(folder)), tree(TARGET)
    if "--write" in sys.argv[1:]:
        write(fresh, kept)
        return 0
    found = list(differences(fresh, kept))
    print("\n".join(found) or f"extauthz/_pb matches protos/: {len(fresh)} files")  # noqa: T201
    if found:
        print("run: tox -e protos -- --write")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
