"""A schedule in words: right, or not at all."""

from datetime import date, timedelta

import pytest
from hypothesis import assume, given

from punctual.core.cron import parse
from punctual.core.descriptions import describe, duration, words_of
from punctual.core.errors import InvalidSchedule
from punctual.core.schedules import At, Cron, Schedule
from tests.property.schedules import five_fields, six_fields
from tests.support.builders import DAY, HOUR, MINUTE, SECOND, a_schedule
from tests.support.clock import NINE


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "Every minute"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("@hourly", "Every hour"),
        ("0 */2 * * *", "Every 2 hours"),
        ("0 9 * * MON-FRI", "At 09:00, Monday through Friday"),
        ("@daily", "At 00:00"),
        ("@yearly", "At 00:00, on day 1 of the month, only in January"),
        ("30 17 L * *", "At 17:30, on the last day of the month"),
        ("0 0 15W * *", "At 00:00, on the weekday nearest day 15 of the month"),
        ("0 0 * * 5#2", "At 00:00, on the second Friday of the month"),
        ("0 0 * * sunL", "At 00:00, on the last Sunday of the month"),
        ("*/10 * * * * *", "Every 10 seconds"),
        ("5 0 12 * * *", "At 12:00:05"),
    ],
)
def test_an_expression_is_said_in_words(expression: str, words: str) -> None:
    assert words_of(expression) == words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("*/90 * * * *", "Every hour"),
        ("*/25 * * * *", "At 0, 25, and 50 minutes past the hour"),
        ("*,5 * * * *", "Every minute"),
        ("0 9 * * 5/2", "At 09:00, only on Sunday and Friday"),
        ("0 9 * * 7-7", "At 09:00, only on Sunday"),
        ("5-5 9 * * *", "At 09:05"),
        ("0 0 1 */5 *", "At 00:00, on day 1 of the month, only in January, June, and November"),
        ("0 0 13 * 5", "At 00:00, on day 13 of the month, or on Friday"),
        ("0 0 1-31 * 5", "At 00:00"),
        ("0 0 ? * 5", "At 00:00, only on Friday"),
    ],
)
def test_words_say_what_the_slots_are_where_the_text_misleads(expression: str, words: str) -> None:
    """The library alone says `Every 90 minutes`, `every 2 weeks`, `At * and 5 minutes …`."""
    assert words_of(expression) == words


@pytest.mark.parametrize(
    "expression",
    ["0 0 13 * */5", "0 0 */2 * MON", "0 0 1W,15W * *", "0 0 L,15 * *", "0 0 * * 5L,1#1"],
)
def test_what_has_no_right_words_is_said_to_have_none(expression: str) -> None:
    assert words_of(expression) is None
    assert describe(Schedule(rule=Cron(expression=expression))) == (
        f"{expression}, UTC (an expression for which we have no words)"
    )


def test_bounds_and_all_else_follow() -> None:
    schedule = Schedule(
        rule=Cron(expression="0 9 * * *", timezone="Europe/Berlin"),
        start_at=NINE,
        end_at=NINE + DAY,
        max_runs=1,
        exclude=(date(2026, 12, 25), NINE),
        spread=90 * SECOND,
    )

    assert describe(schedule) == (
        "At 09:00, Europe/Berlin time; from 2026-12-01T09:00:00Z; until 2026-12-02T09:00:00Z; "
        "at most 1 run; but for 2 exclusions; shifted by less than 1 minute 30 seconds"
    )


def test_instants_and_intervals_have_words_of_our_own() -> None:
    assert describe(Schedule(rule=At(at=NINE))) == "Once, at 2026-12-01T09:00:00Z"
    assert describe(a_schedule(MINUTE)) == "Every minute"
    assert describe(a_schedule(90 * SECOND)) == "Every 1 minute 30 seconds"
    assert describe(a_schedule(10 * SECOND)) == "Every 10 seconds"


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=1.5), "1.5 seconds"),
        (HOUR, "1 hour"),
        (DAY + MINUTE, "24 hours 1 minute"),
        (2 * HOUR + timedelta(milliseconds=1), "2 hours 0.001 seconds"),
    ],
)
def test_durations_have_units(length: timedelta, words: str) -> None:
    assert duration(length) == words


@given(five_fields | six_fields)
def test_whatever_is_read_is_said_or_said_to_have_no_words(expression: str) -> None:
    try:
        parse(expression)
    except InvalidSchedule:
        assume(False)  # a date that never comes
    words = words_of(expression)

    assert words is None or (words[0].isupper() and "*" not in words)
