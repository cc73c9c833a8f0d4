"""Whole workloads, small: every run starts once, on time, at the price of `punctual cost`."""

import gc
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from benchmarks.scale import __main__
from benchmarks.scale.__main__ import main, run
from benchmarks.scale.jobs import Kind
from benchmarks.scale.report import record, taken
from benchmarks.scale.workloads import LATEST_TICK, PROD, WORKLOADS, Workload
from punctual.cli.bill import write_units
from punctual.core.sharding import SHARDS

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)

PER_SECOND = 5


def a_workload(period: timedelta = MINUTE, **fields: Any) -> Workload:
    count = round(PER_SECOND * period.total_seconds())
    values: dict[str, Any] = {
        "about": "a small one",
        "kinds": (Kind(name="k", count=count, period=period, within=period),),
        "deployment": PROD,
        "since": 2 * MINUTE,
        "until": 4 * MINUTE,
        "drain": 30 * SECOND,
    }
    return Workload(**values | fields)


def ran(workload: Workload, *, seed: int = 1) -> Mapping[str, Any]:
    cloud, units = run(workload, seed=seed)
    return record(cloud, expected=workload.expected(), units=units)


def test_every_run_starts_once_and_on_time() -> None:
    line = ran(a_workload())

    assert line["runs"] == 2 * 60 * PER_SECOND
    assert (line["missing"], line["early"], line["repeated"]) == (0, 0, 0)
    assert line["failures"] == {}
    assert line["lateness_s"]["p50"] <= 0.1
    assert line["lateness_s"]["max"] <= 5


@pytest.mark.parametrize(("late", "lateness_max"), [(20 * SECOND, 5), (LATEST_TICK, 35)])
def test_a_lost_tick_loses_no_run_and_makes_late_what_lies_beyond_the_look_ahead(
    late: timedelta, lateness_max: float
) -> None:
    """There are two minutes and `late` between two ticks then, and slots are 150 s ahead."""
    delays = {1 * MINUTE: 0 * SECOND, 2 * MINUTE: None, 3 * MINUTE: late}

    line = ran(a_workload(tick_delays=delays))

    assert line["runs"] == 2 * 60 * PER_SECOND
    assert line["missing"] == 0
    assert line["lateness_s"]["max"] <= lateness_max


def test_two_runs_of_a_seed_are_alike_and_two_seeds_are_not() -> None:
    workload = a_workload(until=3 * MINUTE)

    first = ran(workload)

    assert ran(workload) == first
    assert ran(workload, seed=2) != first


def test_units_are_those_that_the_bill_names() -> None:
    wall = WORKLOADS["burst"]
    (hourly,) = wall.kinds
    workload = replace(wall, kinds=(replace(hourly, count=500),))

    line = ran(workload)

    assert line["runs"] == 500
    ticks = math.ceil((wall.until + wall.drain) / MINUTE)
    beats = ticks * SHARDS / PROD.shards_per_message / 500
    assert line["units_per_run"]["write_units"] == pytest.approx(
        write_units(hourly.period) + beats, rel=0.05
    )


def test_the_command_runs_what_it_is_asked_for_else_the_main_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = a_workload(until=2 * MINUTE + 5 * SECOND, drain=2 * SECOND)
    monkeypatch.setattr(__main__, "WORKLOADS", {"small": small, "other": small})
    monkeypatch.setattr(__main__, "MAIN", ("small",))
    monkeypatch.setattr(gc, "set_threshold", lambda _: None)

    main(["--minutes", "0.1"])
    main(["other", "--minutes", "0.1"])

    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["w"], second["w"]) == ("small", "other")
    assert second["runs"] == 6 * PER_SECOND


def test_taken_units_are_counted_from_one_reading_to_the_next() -> None:
    cloud, units = run(a_workload(), seed=1)

    whole = taken(cloud)

    assert 0 < units.calls < whole.calls
    assert whole.since(whole).write_units == 0
