"""Pictures of a workload as SVG: how late runs started, and what went on from second to second.

Pure: equal records give equal pictures. Colours are of the Okabe-Ito palette, which colour-blind
readers can tell apart; whether the page around is light or dark, the picture brings its own paper.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, HEIGHT = 1080, 320
GAP = 70
"""Around each panel, for its labels."""

LONG = 120
"""Seconds from which on time is told in minutes."""

LETTER = 6
"""How wide a letter of a label is, about."""

INK, GRID, PAPER = "#333333", "#dddddd", "#ffffff"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"

TAIL = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
"""Shares that the first panel has lines for: half of the runs, nine in ten, …"""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """How values become places, and which of them are named."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    scale: Callable[[float], float] = lambda value: value

    def place(self, value: float) -> float:
        """Return where a value is, from 0 at the low end to 1 at the high one."""
        inside = min(max(value, self.low), self.high)
        low, place, high = map(self.scale, (self.low, inside, self.high))
        return (place - low) / (high - low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a panel."""

    name: str
    colour: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Lines in one pair of axes."""

    title: str
    across: Axis
    up: Axis
    across_name: str
    series: Sequence[Series]


def picture(line: Mapping[str, Any]) -> str:
    """Return the picture of a workload, from its line of JSON."""
    panels = [lateness_panel(line["distribution"]), *time_panels(line["backlog"])]
    return draw(line["about"], panels)


def lateness_panel(distribution: Sequence[Sequence[float]]) -> Panel:
    """Draw which share of runs had started so long after their slots.

    Args:
        distribution: Seconds, which only rise, each with its share.
    """
    points = [(seconds, share) for seconds, share in distribution]
    least = 10.0 ** math.floor(math.log10(max(points[0][0], 0.001)))
    most = 10.0 ** math.ceil(math.log10(max(points[-1][0], 10 * least)))
    return Panel(
        title="Share of runs that have started",
        across=Axis(low=least, high=most, ticks=list(_decades(least, most)), scale=math.log10),
        up=Axis(
            low=0.0,
            high=max(points[-1][1], TAIL[-1]),
            ticks=[(0.0, "0"), *((share, f"{100 * share:g} %") for share in TAIL)],
            scale=lambda share: -math.log10(1 - share),
        ),
        across_name="seconds after the slot",
        series=[Series(name="", colour=BLUE, points=points)],
    )


def time_panels(backlog: Sequence[Mapping[str, float]]) -> Sequence[Panel]:
    """Draw what went on from second to second: what waited, and how much was done about it."""
    return (
        _time_panel("Messages waiting", backlog, (("waiting", "", ORANGE),)),
        _time_panel(
            "Work going on",
            backlog,
            (("started", "starts a second", BLUE), ("executors", "executors busy", GREEN)),
        ),
    )


def _time_panel(
    title: str, backlog: Sequence[Mapping[str, float]], lines: Sequence[tuple[str, str, str]]
) -> Panel:
    """Draw some of what a backlog tells: the key, the name and the colour of each line."""
    most = nice_above(max(point[key] for point in backlog for key, _, _ in lines))
    begins, ends = backlog[0]["second"], backlog[-1]["second"]
    unit, seconds = ("minutes", 60) if ends > LONG else ("seconds", 1)
    step = nice_above((ends - begins) / seconds / 6, times=(1, 2, 5, 10))
    return Panel(
        title=title,
        across=Axis(
            low=begins / seconds,
            high=ends / seconds,
            ticks=[(n * step, f"{n * step:g}") for n in range(int(ends / seconds / step) + 1)],
        ),
        up=Axis(low=0, high=most, ticks=[(most * n / 4, f"{most * n / 4:,g}") for n in range(5)]),
        across_name=unit,
        series=[
            Series(
                name=name,
                colour=colour,
                points=[(p["second"] / seconds, p[key]) for p in backlog],
            )
            for key, name, colour in lines
        ],
    )


def nice_above(value: float, *, times: Sequence[int] = (1, 2, 4, 5, 6, 8, 10)) -> float:
    """Return the least of some multiples of a power of ten that is not below a value."""
    if value <= 0:
        return 1.0
    decade = 10.0 ** math.floor(math.log10(value))
    return next(decade * number for number in times if decade * number >= value)


def draw(title: str, panels: Sequence[Panel]) -> str:
    """Return the SVG of some panels side by side."""
    width = WIDTH // len(panels)
    look = f'font-family="sans-serif" font-size="11" fill="{INK}" role="img"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {look}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        _text(WIDTH / 2, 20, title, more='font-size="14"'),
    ]
    for number, panel in enumerate(panels):
        parts += _drawn(panel, left=number * width + GAP, right=(number + 1) * width - GAP // 4)
    return "\n".join([*parts, "</svg>", ""])


def _drawn(panel: Panel, *, left: float, right: float) -> Iterator[str]:
    top, bottom = GAP, HEIGHT - GAP * 0.6

    def across(value: float) -> float:
        return left + panel.across.place(value) * (right - left)

    def up(value: float) -> float:
        return bottom - panel.up.place(value) * (bottom - top)

    yield _text(left, top - 26, panel.title, anchor="start", more='font-weight="bold"')
    for value, name in panel.up.ticks:
        yield _line(left, up(value), right, up(value))
        yield _text(left - 6, up(value) + 4, name, anchor="end")
    for value, name in panel.across.ticks:
        yield _line(across(value), top, across(value), bottom)
        yield _text(across(value), bottom + 14, name)
    yield _text((left + right) / 2, bottom + 30, panel.across_name)
    named = left
    for series in panel.series:
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in series.points)
        yield (
            f'<polyline points="{path}" fill="none" stroke="{series.colour}" stroke-width="1.6"/>'
        )
        if series.name:
            colour = f'fill="{series.colour}"'
            yield _text(named, top - 9, series.name, anchor="start", more=colour)
            named += LETTER * len(series.name) + GAP / 6


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{GRID}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'


def _decades(low: float, high: float) -> Iterator[tuple[float, str]]:
    for exponent in range(round(math.log10(low)), round(math.log10(high)) + 1):
        yield 10.0**exponent, f"{10.0**exponent:g}"
