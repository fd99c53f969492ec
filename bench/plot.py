"""A bar for each figure, as SVG."""

from collections.abc import Mapping
from html import escape

WIDTH, LABEL, BAR, GAP = 720, 180, 22, 10
SCALE = WIDTH - LABEL - 90  # what is left beside the label and the number


def bars(title: str, values: Mapping[str, float], unit: str) -> str:
    """The picture."""
    height = GAP * 4 + BAR + len(values) * (BAR + GAP)
    longest = max(values.values())
    rows = (_row(place, name, value, value / longest, unit) for place, (name, value) in enumerate(values.items()))
    head = f'<text x="0" y="{BAR}" font-weight="bold">{escape(title)}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="14">\n<rect width="{WIDTH}" height="{height}" fill="white"/>\n{head}\n{"".join(rows)}</svg>\n'
    )


def _row(place: int, name: str, value: float, part: float, unit: str) -> str:
    top = BAR + GAP * 2 + place * (BAR + GAP)
    middle, length = top + BAR - 6, max(part * SCALE, 1)
    return (
        f'<text x="{LABEL - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LABEL}" y="{top}" width="{length:.0f}" height="{BAR}" fill="#4878a8"/>'
        f'<text x="{LABEL + length + 6:.0f}" y="{middle}">{value:.3g} {escape(unit)}</text>\n'
    )
