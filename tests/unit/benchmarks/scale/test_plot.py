"""Pictures of workloads: whole, and inside their frames."""

import xml.etree.ElementTree as ET

import pytest

from benchmarks.scale.plot import HEIGHT, WIDTH, lateness_panel, nice_above, picture, time_panels
from benchmarks.scale.report import distribution

LATENESS = [40 + n % 60 for n in range(5000)] + [900, 2500]

BACKLOG = [
    {"second": float(s), "started": 1000, "waiting": 7 * s, "executors": 100} for s in range(300)
]

SVG = "{http://www.w3.org/2000/svg}"


def test_a_picture_has_a_line_for_each_series_within_its_frame() -> None:
    line = {"about": "A & B", "distribution": distribution(LATENESS), "backlog": BACKLOG}

    drawn = ET.fromstring(picture(line))

    paths = [each.attrib["points"].split() for each in drawn.findall(f"{SVG}polyline")]
    assert len(paths) == 4
    for path in paths:
        points = [tuple(map(float, point.split(","))) for point in path]
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert drawn.findtext(f"{SVG}title") == "A & B"


def test_lateness_only_rises_with_its_share() -> None:
    (series,) = lateness_panel(distribution(LATENESS)).series

    assert list(series.points) == sorted(series.points)
    assert series.points[-1][0] == pytest.approx(2.5)


def test_time_is_told_in_seconds_where_there_is_little_of_it() -> None:
    assert {panel.across_name for panel in time_panels(BACKLOG)} == {"minutes"}
    assert {panel.across_name for panel in time_panels(BACKLOG[:60])} == {"seconds"}


@pytest.mark.parametrize(
    ("value", "nice"), [(0, 1), (0.7, 0.8), (1, 1), (37, 40), (59_827, 60_000)]
)
def test_axes_end_at_round_numbers(value: float, nice: float) -> None:
    assert nice_above(value) == pytest.approx(nice)
