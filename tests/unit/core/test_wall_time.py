"""Clocks that change: what becomes of times that are skipped, and of times that come twice.

Berlin springs forward on 2026-03-29 at 01:00 UTC (02:00 to 03:00 does not exist) and falls back on
2026-10-25 at 01:00 UTC (02:00 to 03:00 comes twice).
"""

import pytest

from punctual.core.schedules import Dst, Gap, Repeat
from tests.support.walks import instants

SPRING, AUTUMN = "2026-03-28 12:00", "2026-10-24 12:00"


def test_a_fixed_time_that_is_skipped_runs_when_the_clocks_go_on() -> None:
    assert instants("30 2 * * *", "Europe/Berlin", after=SPRING, count=2) == [
        "2026-03-29 01:00",
        "2026-03-30 00:30",
    ]


def test_several_skipped_times_run_once() -> None:
    assert instants("0,20,40 2 * * *", "Europe/Berlin", after=SPRING, count=2) == [
        "2026-03-29 01:00",
        "2026-03-30 00:00",
    ]


def test_a_skipped_time_is_one_with_the_run_at_the_end_of_the_gap() -> None:
    assert instants("0 1-4 * * *", "Europe/Berlin", after=SPRING, count=4) == [
        "2026-03-29 00:00",
        "2026-03-29 01:00",
        "2026-03-29 02:00",
        "2026-03-29 23:00",
    ]


def test_a_fixed_time_that_comes_twice_runs_on_the_first_pass() -> None:
    assert instants("30 2 * * *", "Europe/Berlin", after=AUTUMN, count=2) == [
        "2026-10-25 00:30",
        "2026-10-26 01:30",
    ]


def test_from_within_the_second_pass_a_fixed_time_of_that_pass_is_past() -> None:
    found = instants("45 2 * * *", "Europe/Berlin", after="2026-10-25 01:10", count=1)

    assert found == ["2026-10-26 01:45"]


def test_a_wildcard_runs_on_through_a_gap() -> None:
    assert instants("*/30 * * * *", "Europe/Berlin", after="2026-03-29 00:00", count=3) == [
        "2026-03-29 00:30",
        "2026-03-29 01:00",
        "2026-03-29 01:30",
    ]
    assert instants("0 */2 * * *", "Europe/Berlin", after="2026-03-28 23:00", count=2) == [
        "2026-03-29 02:00",
        "2026-03-29 04:00",
    ]


def test_a_wildcard_runs_in_both_passes() -> None:
    assert instants("*/30 2 * * *", "Europe/Berlin", after=AUTUMN, count=5) == [
        "2026-10-25 00:00",
        "2026-10-25 00:30",
        "2026-10-25 01:00",
        "2026-10-25 01:30",
        "2026-10-26 01:00",
    ]


def test_every_second_of_a_gap_runs_once_and_of_an_overlap_once() -> None:
    assert instants("* 30 2 * * *", "Europe/Berlin", after=SPRING, count=2) == [
        "2026-03-29 01:00",
        "2026-03-30 00:30",
    ]
    assert instants("59 59 2 * * *", "Europe/Berlin", after=AUTUMN, count=2) == [
        "2026-10-25 00:59:59",
        "2026-10-26 01:59:59",
    ]


def test_half_an_hour_of_lord_howe_is_skipped_and_repeated() -> None:
    assert instants("15 2 * * *", "Australia/Lord_Howe", after="2026-10-03 00:00", count=2) == [
        "2026-10-03 15:30",
        "2026-10-04 15:15",
    ]
    assert instants("45 1 * * *", "Australia/Lord_Howe", after="2026-04-04 00:00", count=2) == [
        "2026-04-04 14:45",
        "2026-04-05 15:15",
    ]


def test_the_two_hours_of_troll_are_caught_up() -> None:
    assert instants("30 1,2 * * *", "Antarctica/Troll", after="2026-03-28 12:00", count=2) == [
        "2026-03-29 01:00",
        "2026-03-29 23:30",
    ]


def test_the_day_that_apia_left_out_is_not_caught_up() -> None:
    assert instants("0 12 * * *", "Pacific/Apia", after="2011-12-29 00:00", count=3) == [
        "2011-12-29 22:00",
        "2011-12-30 22:00",
        "2011-12-31 22:00",
    ]
    assert instants("0 12 30 12 *", "Pacific/Apia", after="2011-01-01 00:00", count=1) == [
        "2012-12-29 22:00"
    ]


@pytest.mark.parametrize("expr", ["30 2 * * *", "*/30 2 * * *"])
def test_a_job_may_want_skipped_times_left_out(expr: str) -> None:
    found = instants(expr, "Europe/Berlin", after=SPRING, count=1, dst=Dst(gap=Gap.SKIP))

    assert found[0].startswith("2026-03-30")


@pytest.mark.parametrize("expr", ["30 2 * * *", "*/30 2 * * *"])
def test_a_job_may_want_skipped_times_afterwards(expr: str) -> None:
    found = instants(expr, "Europe/Berlin", after=SPRING, count=1, dst=Dst(gap=Gap.AFTER))

    assert found == ["2026-03-29 01:00"]


@pytest.mark.parametrize(
    ("overlap", "found"),
    [
        (Repeat.FIRST, ["2026-10-25 00:30", "2026-10-26 01:30", "2026-10-27 01:30"]),
        (Repeat.SECOND, ["2026-10-25 01:30", "2026-10-26 01:30", "2026-10-27 01:30"]),
        (Repeat.BOTH, ["2026-10-25 00:30", "2026-10-25 01:30", "2026-10-26 01:30"]),
    ],
)
@pytest.mark.parametrize("expr", ["30 2 * * *", "*/90,30 2 * * *"])
def test_a_job_may_choose_the_pass(expr: str, overlap: Repeat, found: list[str]) -> None:
    every = instants(expr, "Europe/Berlin", after=AUTUMN, count=6, dst=Dst(overlap=overlap))

    assert [at for at in every if at.endswith(":30")][:3] == found


def test_what_a_job_does_not_choose_stays_the_rule() -> None:
    """A wildcard that wants the second pass still leaves out what is skipped."""
    dst = Dst(overlap=Repeat.SECOND)

    assert instants("*/30 2 * * *", "Europe/Berlin", after=AUTUMN, count=2, dst=dst) == [
        "2026-10-25 01:00",
        "2026-10-25 01:30",
    ]
    assert instants("*/30 2 * * *", "Europe/Berlin", after=SPRING, count=1, dst=dst) == [
        "2026-03-30 00:00"
    ]
