"""Several takes of one measurement: their median, and how far they lie apart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True, slots=True)
class Figures:
    """The takes, in the order they were made."""

    takes: tuple[float, ...]

    @property
    def median(self) -> float:
        """What is reported."""
        return median(self.takes)

    @property
    def spread(self) -> float:
        """The noise: the interquartile range, as a part of the median."""
        if len(self.takes) < 2 or not self.median:
            return 0.0
        low, _, high = quantiles(self.takes, n=4, method="inclusive")
        return (high - low) / abs(self.median)

    def over(self, other: "Figures") -> "Figures":
        """Take by take, as multiples of `other`: what slows the machine for a while slows both."""
        return Figures(tuple(mine / theirs for mine, theirs in zip(self.takes, other.takes, strict=True)))

    def times(self, factor: float) -> "Figures":
        """Take by take."""
        return Figures(tuple(factor * take for take in self.takes))

    def less(self, other: "Figures") -> "Figures":
        """Take by take, what is left without `other`."""
        return Figures(tuple(mine - theirs for mine, theirs in zip(self.takes, other.takes, strict=True)))


def in_turns(variants: Mapping[str, Callable[[], float]], takes: int) -> dict[str, Figures]:
    """Measure each variant once, then each again, until there are `takes` of all; the first round is for warming up."""
    for measure in variants.values():
        measure()
    found: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(takes):
        for name, measure in variants.items():
            found[name].append(measure())
    return {name: Figures(tuple(takes)) for name, takes in found.items()}
