"""The benchmark programs run, and their results have the names that scripts follow."""

import json
import re
from pathlib import Path

from click.testing import CliRunner

from bench import plot
from bench.__main__ import main
from bench.figures import Figures, in_turns
from bench.results import NUMBERS, Results


def test_the_part_that_needs_no_server(tmp_path: Path) -> None:
    """Decision and memory are measured, every named number is in the file, and what was not measured is null."""
    out = tmp_path / "results.json"
    outcome = CliRunner().invoke(main, ["--only-inprocess", "--out", str(out)], catch_exceptions=False)
    results = json.loads(out.read_text())
    assert results.keys() >= NUMBERS.keys()
    measured = {name for name in NUMBERS if results[name] is not None}
    assert measured == {"inprocess_over_parse", "mib_per_100k_sessions"}
    assert all(results[name] > 0 for name in measured)
    assert "as it was asked to" in outcome.output


def test_the_median_is_told_with_its_noise() -> None:
    """A take that went wrong moves neither the median nor the noise; ratios are made take by take."""
    figures = Figures((10.0, 10.0, 11.0, 9.0, 500.0))
    assert figures.median == 10.0
    assert figures.spread == 0.1
    assert figures.over(Figures((5.0, 5.0, 5.5, 4.5, 250.0))).takes == (2.0,) * 5


def test_variants_take_turns() -> None:
    """What is compared is measured in turns, after a round that does not count."""
    order: list[str] = []

    def take(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = in_turns({"a": lambda: take("a"), "b": lambda: take("b")}, takes=2)
    assert order == ["a", "b"] * 3
    assert (found["a"].takes, found["b"].takes) == ((3.0, 5.0), (4.0, 6.0))


def test_what_is_left_out_is_named() -> None:
    """A number that could not be had is null in the file, and the reason stands in both forms."""
    results = Results(left_out=["what needs a thing that is missing"])
    assert json.loads(json.dumps(results.to_json()))["two_workers_over_one"] is None
    assert "Left out: what needs a thing that is missing." in results.to_markdown()


def test_a_line_has_a_point_for_each_figure() -> None:
    """From zero up, the first at the left end and the last at the right, and each mark at its second."""
    picture = plot.line("Memory", [50.0, 100.0, 0.0], "MiB", 600, [300.0])
    points = re.findall(r"([\d.]+),([\d.]+)", re.findall(r'points="([^"]+)"', picture)[0])
    (left, middle), (_, top), (right, bottom) = [(float(x), float(y)) for x, y in points]
    assert bottom - middle == (bottom - top) / 2 > 0
    assert f'x1="{(left + right) / 2:.1f}"' in picture
    assert "600 s" in picture
