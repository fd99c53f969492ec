"""`python -m bench`: measure everything, print it, and write it down."""

import json
import re
from pathlib import Path

import click

from bench import gateway, inprocess, load, memory, misses, plot, servers, workers
from bench.figures import Figures
from bench.results import Results
from bench.world import ASKED, World, world

ROOT = Path(__file__).parent.parent
JSON = ROOT / "bench" / "results.json"
DOCUMENT = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "performance.svg"
BLOCK = re.compile(r"(<!-- bench -->\n).*(<!-- /bench -->)", re.DOTALL)
SESSIONS = 100_000


@click.command(help="Measure what the proxy costs, and write bench/results.json and docs/performance.md.")
@click.option("--quick", is_flag=True, help="fewer takes and sessions, in less than a minute; writes the JSON alone")
@click.option("--only-inprocess", is_flag=True, help="no servers: a few seconds; writes the JSON alone")
@click.option("--out", type=click.Path(path_type=Path), default=JSON, show_default=True, help="where the JSON goes")
def main(quick: bool, only_inprocess: bool, out: Path) -> None:
    """All measurements, in the order of their cost."""
    results, whole = Results(), not (quick or only_inprocess)
    of_the_decision(results, takes=15 if whole else 5)
    of_sessions(results, SESSIONS if whole else 2_000 if only_inprocess else 5_000)
    if only_inprocess:
        results.left_out.append("everything that needs a server, as it was asked to")
    else:
        calls = load.CALLS_OF_A_CONNECTION
        picture = of_servers(results, takes=15 if whole else 2, calls=calls if whole else calls // 4)
        if whole and picture is not None:
            PICTURE.write_text(picture)
        with world() as running:
            of_the_world(results, running, takes=7 if whole else 1)
    out.write_text(json.dumps(results.to_json(), indent=2) + "\n")
    click.echo(results.to_markdown())
    if whole:
        written = results.to_markdown() + "\n"
        DOCUMENT.write_text(BLOCK.sub(lambda found: found[1] + written + found[2], DOCUMENT.read_text()))


def of_the_decision(results: Results, takes: int) -> None:
    """In this process."""
    found = inprocess.measure(takes)
    results.numbers["inprocess_over_parse"] = found["browser"]["over_parse"]
    for form, figures in found.items():
        results.add(f"{form} question: parse", figures["parse"], "us CPU")
        results.add(f"{form} question: answered", figures["decision"], "us CPU")
        results.add(f"{form} question: the same, counted", figures["counted"], "us CPU")
        results.add(f"{form} question: answered, over parse", figures["over_parse"], "times")


def of_sessions(results: Results, sessions: int) -> None:
    """In a process of its own."""
    found = memory.measure(sessions)
    grown = (found["full_mib"] - found["empty_mib"]) * SESSIONS / sessions
    results.numbers["mib_per_100k_sessions"] = Figures((grown,))
    turned = (found["turned_over_mib"] - found["empty_mib"]) * SESSIONS / sessions
    results.add("100,000 sessions, above the empty process", Figures((grown,)), "MiB")
    results.add("the same, after 100,000 others have taken their places", Figures((turned,)), "MiB")
    results.add(
        f"full garbage collection with {sessions} sessions", Figures((found["collecting_seconds"] * 1e3,)), "ms"
    )


def of_servers(results: Results, takes: int, calls: int) -> str | None:
    """Each in a process of its own, on the same questions. A picture of it, as SVG, if it could be had."""
    if not load.available():
        results.left_out.append(load.MISSING)
        return None
    found = servers.measure(takes, calls)
    cpu = {name: figures["cpu_micros"] for name, figures in found.items()}
    results.numbers["fast_over_noop_zttp_cpu"] = cpu["fast"].over(cpu["noop zttp"])
    results.numbers["grpc_over_noop_grpcio_cpu"] = cpu["grpc"].over(cpu["noop grpcio"])
    results.numbers["fast_checks_per_cpu_over_noop_grpcio"] = cpu["noop grpcio"].over(cpu["fast"])
    for name, figures in found.items():
        results.add(f"{name}: a Check", figures["cpu_micros"], "us CPU")
        results.add(f"{name}: Checks, as far as h2load leaves it a core", figures["per_second"], "per s")
    return plot.bars("CPU time of a Check", {name: figures.median for name, figures in cpu.items()}, "us")


def of_the_world(results: Results, running: World, takes: int) -> None:
    """With a real Envoy and a real authorization server."""
    name = "introspections_for_1000_concurrent_misses"
    results.numbers[name] = Figures((float(misses.introspections_for_a_stampede(running)),))
    results.add("a session to ask about: the proxy", misses.cpu_micros(running, takes), "us CPU")
    if load.available():
        of_the_gateway(results, running, takes)
        of_workers(results, running, takes)
    # The last: it leaves the proxy believing that the authorization server is down.
    waiting = misses.p99_while_others_hang(running, takes)
    results.add("p99 of known sessions, calm", waiting["calm"], "ms")
    ratio = waiting["hanging"].over(waiting["calm"])
    results.add("the same while 500 others wait for the authorization server, over calm", ratio, "times")


def of_the_gateway(results: Results, running: World, takes: int) -> None:
    """With and without asking the proxy."""
    through = gateway.measure(running, takes)
    for route in ASKED:
        for key, words, unit in (("p50", "p50", "ms"), ("p99", "p99", "ms"), ("envoy", "Envoy", "us CPU")):
            added = through[route][key].less(through["none"][key])
            results.add(f"through Envoy, {route}: {words}, added", added, unit)
        results.add(f"through Envoy, {route}: the proxy", through[route]["proxy"], "us CPU")


def of_workers(results: Results, running: World, takes: int) -> None:
    """Processes of one proxy."""
    rates, micros = workers.measure(running, takes)
    results.numbers["two_workers_over_one"] = micros[1].over(micros[2]).times(2)
    for count, figures in rates.items():
        name = f"fast door, {count} worker{'s' if count > 1 else ''}"
        results.add(f"{name}: Checks, as far as h2load leaves them the cores", figures, "per s")
        results.add(f"{name}: a Check", micros[count], "us CPU")
    results.add("two workers over one, h2load on the same cores", rates[2].over(rates[1]), "times")


if __name__ == "__main__":
    main()
