"""Figures as SVG: a bar for each, or a line over time."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, LABEL, BAR, GAP = 720, 180, 22, 10
SCALE = WIDTH - LABEL - 90  # what is left beside the label and the number
LEFT, TOP, TALL = 50, 50, 200  # of a line's field


def bars(title: str, values: Mapping[str, float], unit: str) -> str:
    """A bar for each of `values`."""
    height = GAP * 4 + BAR + len(values) * (BAR + GAP)
    longest = max(values.values())
    rows = (_row(place, name, value, value / longest, unit) for place, (name, value) in enumerate(values.items()))
    return _picture(title, height, "".join(rows))


def line(title: str, values: Sequence[float], unit: str, seconds: float, marks: Sequence[float] = ()) -> str:
    """`values` at equal distances over so many seconds, from zero up; a thin line at each of `marks`, in seconds."""
    wide, highest = WIDTH - LEFT - GAP, max(values) * 1.1
    across, bottom = wide / seconds, TOP + TALL
    step = wide / max(len(values) - 1, 1)
    points = " ".join(
        f"{LEFT + place * step:.1f},{bottom - value / highest * TALL:.1f}" for place, value in enumerate(values)
    )
    lines = (
        f'<line x1="{LEFT + at * across:.1f}" x2="{LEFT + at * across:.1f}" y1="{TOP}" y2="{bottom}" stroke="#ddd"/>\n'
        for at in marks
    )
    body = (
        f'{"".join(lines)}<path d="M{LEFT},{TOP} V{bottom} H{LEFT + wide}" fill="none" stroke="black"/>\n'
        f'<polyline points="{points}" fill="none" stroke="#4878a8" stroke-width="2"/>\n'
        f'<text x="{LEFT - 6}" y="{TOP + 12}" text-anchor="end">{highest:.0f}</text>'
        f'<text x="{LEFT - 6}" y="{bottom}" text-anchor="end">0</text>'
        f'<text x="{LEFT + wide}" y="{bottom + 20}" text-anchor="end">{seconds:.0f} s</text>\n'
    )
    return _picture(f"{title}, {unit}", bottom + 30, body)


def _picture(title: str, height: int, body: str) -> str:
    head = f'<text x="0" y="{BAR}" font-weight="bold">{escape(title)}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="14">\n<rect width="{WIDTH}" height="{height}" fill="white"/>\n{head}\n{body}</svg>\n'
    )


def _row(place: int, name: str, value: float, part: float, unit: str) -> str:
    top = BAR + GAP * 2 + place * (BAR + GAP)
    middle, length = top + BAR - 6, max(part * SCALE, 1)
    return (
        f'<text x="{LABEL - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LABEL}" y="{top}" width="{length:.0f}" height="{BAR}" fill="#4878a8"/>'
        f'<text x="{LABEL + length + 6:.0f}" y="{middle}">{value:.3g} {escape(unit)}</text>\n'
    )
