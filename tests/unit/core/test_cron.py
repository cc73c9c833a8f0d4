"""The conformance cases, and the instants that an expression names in a zone."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from punctual.core.cron import next_slot, walk
from punctual.core.errors import InvalidSchedule
from tests.support.walks import instants

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "cron_cases.jsonl").read_text("ascii").splitlines()
]
NINE = datetime(2026, 12, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{case['expr']} {case['tz']} {case['after']}" for case in CASES]
)
def test_the_five_instants_of_a_conformance_case_follow_each_other(case: dict[str, Any]) -> None:
    after = datetime.fromisoformat(case["after"])
    for expected in case["expected"]:
        slot = next_slot(case["expr"], case["tz"], after)

        assert slot == datetime.fromisoformat(expected)
        assert slot.utcoffset() == timedelta(0)
        after = slot


def test_there_are_three_hundred_conformance_cases() -> None:
    assert len(CASES) == 300


def test_an_instant_between_two_seconds_is_after_the_first() -> None:
    almost_ten = datetime(2026, 12, 1, 9, 59, 59, 999_999, tzinfo=UTC)

    assert next_slot("0 * * * *", "UTC", almost_ten) == datetime(2026, 12, 1, 10, tzinfo=UTC)


def test_the_zone_of_after_does_not_matter() -> None:
    berlin = NINE.astimezone(ZoneInfo("Europe/Berlin"))

    assert next_slot("0 9 * * *", "UTC", berlin) == NINE + timedelta(days=1)


def test_nothing_comes_after_the_year_9999() -> None:
    assert walk("0 0 * * *", "UTC").next(datetime(9999, 12, 31, tzinfo=UTC)) is None
    assert instants("0 12 31 12 *", "Asia/Tokyo", after="9998-12-31 23:00", count=2) == [
        "9999-12-31 03:00",
        "never",
    ]


def test_the_first_instant_of_the_calendar_is_a_place_to_begin() -> None:
    assert walk("0 0 2 1 *", "Asia/Tokyo").next(datetime.min.replace(tzinfo=UTC)) is not None
    assert walk("0 0 2 1 *", "America/New_York").next(datetime.min.replace(tzinfo=UTC)) is not None


@pytest.mark.parametrize(
    "name",
    ["", "Mars/Olympus", "europe/berlin", "UTC+2", "../../etc/passwd", "Europe", "Europe/Berlin\0"],
)
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidSchedule, match="unknown time zone") as caught:
        next_slot("0 9 * * *", name, NINE)

    assert caught.value.field == "timezone"


def test_the_name_of_an_unknown_zone_is_repeated_in_part() -> None:
    with pytest.raises(InvalidSchedule) as caught:
        next_slot("0 9 * * *", "Z" * 5000, NINE)

    assert str(caught.value).startswith(f"unknown time zone {'Z' * 40!r}")
    assert len(str(caught.value)) <= 500


def test_an_expression_whose_every_time_is_skipped_never_comes() -> None:
    """Berlin's clocks skip 02:00 to 03:00 on the last Sunday of each March."""
    with pytest.raises(InvalidSchedule) as caught:
        next_slot("*/5 2 * 3 SUNL", "Europe/Berlin", NINE)

    assert caught.value.field == "cron"
    assert str(caught.value) == "the zone's clocks skip each of its times: '*/5 2 * 3 SUNL'"
