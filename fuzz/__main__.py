"""`python -m fuzz`: every target for a bounded number of runs; with `--input`, one input again without the fuzzer."""

import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from fuzz.targets import NAMES, load

RUNS = 50_000
LAST_LINES = 40  # of what a failed run said: the traceback is there


@click.command(help="Run the targets, or one input of one target again.")
@click.option("--runs", type=click.IntRange(min=1), default=RUNS, show_default=True, help="inputs for each target")
@click.option("--target", "names", multiple=True, type=click.Choice(NAMES), help="these only; default: all")
@click.option("--input", "data", help="one input in hexadecimal digits, for one target, without the fuzzer")
def main(runs: int, names: tuple[str, ...], data: str | None) -> None:
    """Exit with 1 when an input fails, having said which."""
    if data is not None:
        if len(names) != 1:
            raise click.UsageError("--input needs one --target")
        load(names[0]).run(bytes.fromhex(data))
        return
    failed = [name for name in names or NAMES if not _passes(name, runs)]
    sys.exit(1 if failed else 0)


def _passes(name: str, runs: int) -> bool:
    """A process for each target: the fuzzer ends the one it runs in."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        ended = _python("fuzz.engine", name, str(runs), folder)
        seconds = time.monotonic() - started
        inputs = [file.read_bytes() for file in sorted(Path(folder).glob("*-*"))]
    if ended.returncode == 0:
        click.echo(f"{name}: {runs} runs in {seconds:.0f} s")
        return True
    click.echo(f"{name}: failed after {seconds:.0f} s")
    if not inputs:
        click.echo(_last_words(ended))
    for data in inputs:
        again = ("fuzz", "--target", name, "--input", data.hex())
        click.echo(_last_words(_python(*again)))
        click.echo(f"again: python -m {shlex.join(again)}")
    return False


def _python(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603


def _last_words(ended: "subprocess.CompletedProcess[str]") -> str:
    return "\n".join((ended.stdout + ended.stderr).splitlines()[-LAST_LINES:])


if __name__ == "__main__":
    main()
