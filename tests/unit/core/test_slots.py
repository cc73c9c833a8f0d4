"""A schedule's slots: bounds, exclusions, the shift, and what is no schedule at all."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from punctual.core.errors import InvalidSchedule
from punctual.core.schedules import At, Cron, Dst, Every, Gap, Repeat, Rule, Schedule
from punctual.core.slots import (
    EVERY_MAX,
    EXCLUSIONS_MAX,
    SPREAD_MAX,
    check,
    count_slots,
    next_slot,
    same_slots,
    slots_between,
)
from tests.support.builders import DAY, HOUR, MINUTE, SECOND, TICK, a_schedule
from tests.support.clock import NINE

TWENTY_SECONDS = 20 * SECOND


def at(instant: datetime = NINE, **bounds: Any) -> Schedule:
    return Schedule(rule=At(at=instant), **bounds)


def cron(
    expression: str, timezone: str = "UTC", *, dst: Dst | None = None, **bounds: Any
) -> Schedule:
    return Schedule(rule=Cron(expression=expression, timezone=timezone, dst=dst), **bounds)


def utc(text: str) -> datetime:
    """Read `2026-12-01 09:00` as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def first(schedule: Schedule, count: int, *, after: datetime = NINE) -> list[datetime]:
    found: list[datetime] = []
    slot = next_slot(schedule, after=after)
    while slot is not None and len(found) < count:
        found.append(slot)
        slot = next_slot(schedule, after=slot)
    return found


# Rules


def test_a_single_instant_is_a_slot_once() -> None:
    assert first(at(), 2, after=NINE - DAY) == [NINE]
    assert next_slot(at(), after=NINE) is None


def test_an_interval_begins_at_its_anchor_and_keeps_its_distance() -> None:
    schedule = a_schedule(TWENTY_SECONDS)

    assert first(schedule, 3, after=NINE - DAY) == [NINE, NINE + 20 * SECOND, NINE + 40 * SECOND]
    assert next_slot(schedule, after=NINE + 59 * SECOND) == NINE + MINUTE


def test_a_century_into_an_interval_the_distance_is_still_exact() -> None:
    schedule = a_schedule(timedelta(seconds=1.001))

    slot = next_slot(schedule, after=NINE + 36_500 * DAY)

    assert slot is not None
    assert (slot - NINE) % timedelta(seconds=1.001) == timedelta(0)
    assert timedelta(0) < slot - (NINE + 36_500 * DAY) <= timedelta(seconds=1.001)


def test_a_cron_expression_is_read_in_its_zone() -> None:
    schedule = cron("0 9 * * *", "Asia/Tokyo")

    assert next_slot(schedule, after=NINE) == NINE + 15 * HOUR


def test_what_a_job_wants_of_changing_clocks_reaches_its_slots() -> None:
    """Berlin skips 02:30 on 2026-03-29 and shows it twice on 2026-10-25."""
    schedule = cron("30 2 * * *", "Europe/Berlin", dst=Dst(gap=Gap.SKIP, overlap=Repeat.BOTH))

    assert first(schedule, 1, after=utc("2026-03-28 12:00")) == [utc("2026-03-30 00:30")]
    assert first(schedule, 2, after=utc("2026-10-24 12:00")) == [
        utc("2026-10-25 00:30"),
        utc("2026-10-25 01:30"),
    ]


def test_a_rule_that_cannot_be_read_has_no_slots_but_an_error() -> None:
    with pytest.raises(InvalidSchedule):
        next_slot(cron("61 * * * *"), after=NINE)


# Bounds


@pytest.mark.parametrize(
    "schedule", [a_schedule(MINUTE, anchor=NINE - DAY), cron("* * * * *")], ids=["every", "cron"]
)
def test_both_bounds_are_slots_if_the_rule_names_them(schedule: Schedule) -> None:
    bounded = replace(schedule, start_at=NINE, end_at=NINE + 2 * MINUTE)

    assert first(bounded, 9, after=NINE - HOUR) == [NINE, NINE + MINUTE, NINE + 2 * MINUTE]


@pytest.mark.parametrize(
    "schedule", [a_schedule(MINUTE, anchor=NINE - DAY), cron("* * * * *")], ids=["every", "cron"]
)
def test_a_moment_inside_the_bounds_leaves_the_outer_slots_out(schedule: Schedule) -> None:
    bounded = replace(schedule, start_at=NINE + TICK, end_at=NINE + 2 * MINUTE - TICK)

    assert first(bounded, 9, after=NINE - HOUR) == [NINE + MINUTE]


def test_a_single_instant_outside_its_bounds_is_no_slot() -> None:
    assert next_slot(at(start_at=NINE + TICK), after=NINE - DAY) is None
    assert next_slot(at(end_at=NINE - TICK), after=NINE - DAY) is None
    assert next_slot(at(start_at=NINE, end_at=NINE), after=NINE - DAY) == NINE


def test_the_most_runs_are_counted_by_who_hands_slots_over() -> None:
    assert len(first(a_schedule(MINUTE, max_runs=2), 5)) == 5


def test_no_slot_lies_beyond_the_calendar() -> None:
    last = datetime.max.replace(tzinfo=UTC)

    assert next_slot(a_schedule(EVERY_MAX), after=last - DAY) is None
    assert next_slot(cron("* * * * *"), after=last) is None
    assert next_slot(at(last, offset=HOUR), after=NINE) is None
    assert (
        next_slot(a_schedule(MINUTE, offset=HOUR), after=datetime.min.replace(tzinfo=UTC)) is None
    )


# Exclusions


def test_an_excluded_date_is_one_of_the_jobs_zone() -> None:
    """The 25th of December begins in Tokyo at 15:00 UTC on the 24th."""
    schedule = cron("0 */6 * * *", "Asia/Tokyo", exclude=(date(2026, 12, 25),))

    assert first(schedule, 3, after=utc("2026-12-24 06:00")) == [
        utc("2026-12-24 09:00"),
        utc("2026-12-25 15:00"),
        utc("2026-12-25 21:00"),
    ]


def test_an_excluded_date_of_an_interval_is_one_of_utc() -> None:
    schedule = a_schedule(12 * HOUR, exclude=(date(2026, 12, 2), date(2026, 12, 3)))

    assert first(schedule, 2) == [NINE + 12 * HOUR, NINE + 3 * DAY]


def test_an_excluded_instant_is_no_slot_and_its_neighbours_are() -> None:
    schedule = a_schedule(MINUTE, exclude=(NINE + 2 * MINUTE, NINE + 3 * MINUTE + SECOND))

    assert first(schedule, 2) == [NINE + MINUTE, NINE + 3 * MINUTE]


def test_an_excluded_instant_may_be_written_with_any_offset() -> None:
    tokyo = datetime.fromisoformat("2026-12-01T18:01:00+09:00")

    assert first(a_schedule(MINUTE, exclude=(tokyo,)), 1) == [NINE + 2 * MINUTE]


def test_an_excluded_date_leaves_out_both_passes_of_its_last_hour() -> None:
    """At midnight after 2025-10-25 Beirut's clocks go back to 23:00 of that day."""
    schedule = cron("*/30 * * * *", "Asia/Beirut", exclude=(date(2025, 10, 25),))

    assert next_slot(schedule, after=utc("2025-10-25 18:00")) == utc("2025-10-25 22:00")


def test_an_excluded_date_of_23_hours_takes_nothing_of_the_next() -> None:
    """New York's 2026-03-08 ends at 04:00 UTC, though it began at 05:00."""
    schedule = cron("*/30 * * * *", "America/New_York", exclude=(date(2026, 3, 8),))

    assert first(schedule, 2, after=utc("2026-03-08 04:15")) == [
        utc("2026-03-08 04:30"),
        utc("2026-03-09 04:00"),
    ]


def test_a_slot_after_a_gap_over_midnight_belongs_to_the_date_it_runs_on() -> None:
    """Toronto's clocks went from 23:30 on 1919-03-30 to 00:30 on the 31st."""
    daily = cron("45 23 * * *", "America/Toronto")
    before = utc("1919-03-30 05:00")
    run = next_slot(daily, after=before)

    assert run == utc("1919-03-31 04:30")
    assert next_slot(replace(daily, exclude=(date(1919, 3, 30),)), after=before) == run
    assert next_slot(replace(daily, exclude=(date(1919, 3, 31),)), after=before) == utc(
        "1919-04-02 03:45"
    )


def test_passing_over_excluded_dates_takes_no_look_at_each_of_their_slots() -> None:
    """Fifty million of them, at a look for each, would not end within this test."""
    dates = tuple(date(2026, 12, 2) + n * DAY for n in range(EXCLUSIONS_MAX))
    every_second = cron("* * * * * *", "Europe/Berlin", exclude=dates)

    assert next_slot(every_second, after=utc("2026-12-01 22:59:59")) == utc("2028-04-14 22:00")


def test_when_everything_is_excluded_no_slot_follows() -> None:
    assert next_slot(at(exclude=(NINE,)), after=NINE - DAY) is None
    assert next_slot(at(exclude=(NINE.date(),)), after=NINE - DAY) is None
    assert next_slot(
        cron("0 12 1 12 *", end_at=NINE + DAY, exclude=(NINE.date(),)), after=NINE
    ) is (None)


# The shift


@pytest.mark.parametrize(
    "rule",
    [Every(every=MINUTE, anchor=NINE), Cron(expression="* * * * *"), At(at=NINE + MINUTE)],
)
def test_the_offset_shifts_what_the_rule_names(rule: Rule) -> None:
    schedule = Schedule(rule=rule, offset=TWENTY_SECONDS)

    slot = next_slot(schedule, after=NINE + TWENTY_SECONDS)

    assert slot == NINE + MINUTE + TWENTY_SECONDS
    assert next_slot(schedule, after=slot - TICK) == slot
    assert next_slot(schedule, after=slot) != slot


def test_bounds_and_exclusions_speak_of_slots_before_the_shift() -> None:
    schedule = a_schedule(
        MINUTE,
        start_at=NINE + MINUTE,
        end_at=NINE + 3 * MINUTE,
        exclude=(NINE + 2 * MINUTE,),
        offset=TWENTY_SECONDS,
    )

    assert first(schedule, 9, after=NINE - DAY) == [
        NINE + MINUTE + TWENTY_SECONDS,
        NINE + 3 * MINUTE + TWENTY_SECONDS,
    ]


# Intervals of slots


def test_an_interval_of_slots_leaves_out_its_beginning_and_holds_its_end() -> None:
    schedule = a_schedule(MINUTE)

    assert list(slots_between(schedule, after=NINE, until=NINE + 2 * MINUTE)) == [
        NINE + MINUTE,
        NINE + 2 * MINUTE,
    ]
    assert list(slots_between(schedule, after=NINE, until=NINE)) == []
    assert list(slots_between(schedule, after=NINE + DAY, until=NINE)) == []


def test_slots_are_counted_no_further_than_asked() -> None:
    schedule = a_schedule(SECOND)

    assert count_slots(schedule, after=NINE, until=NINE + MINUTE, limit=1000) == 60
    assert count_slots(schedule, after=NINE, until=NINE + 36_500 * DAY, limit=1000) == 1000


# Which schedules are the same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (cron("0 0 * * 7"), cron("0 0 * * SUN")),
        (cron("*/15 9-10 * * *"), cron("*/15 9,10 * * *")),
        (cron("@daily"), cron("0 0 0 * * *")),
        (cron("0 0 * * 1-5"), cron("0 0 ? * MON-FRI")),
        (cron("0 0 1-31 * 5"), cron("0 0 * * *")),
        (cron("0 0 1 * *"), cron("0 0 1 * *", dst=Dst())),
        (cron("0 0 1 * *"), cron("0 0 1 * *", dst=Dst(gap=Gap.AFTER, overlap=Repeat.FIRST))),
        (cron("0 * * * *"), cron("0 0-23 * * *", dst=Dst(gap=Gap.SKIP, overlap=Repeat.BOTH))),
        (cron("@daily", spread=HOUR), cron("@daily", spread=2 * HOUR)),
        (cron("@daily", max_runs=1), cron("@daily")),
        (
            cron("@daily", exclude=(date(2026, 12, 25), date(2026, 12, 24))),
            cron("@daily", exclude=(date(2026, 12, 24), date(2026, 12, 25))),
        ),
        (a_schedule(MINUTE), a_schedule(MINUTE, start_at=NINE)),
        (a_schedule(MINUTE, anchor=NINE - DAY, start_at=NINE), a_schedule(MINUTE)),
        (a_schedule(HOUR, end_at=NINE + 90 * MINUTE), a_schedule(HOUR, end_at=NINE + HOUR)),
        (at(), at(start_at=NINE - DAY, end_at=NINE + DAY)),
        (at(exclude=(NINE,)), at(NINE + DAY, end_at=NINE)),
    ],
)
def test_schedules_that_name_the_same_slots_in_other_words_are_the_same(
    one: Schedule, other: Schedule
) -> None:
    assert same_slots(one, other)
    assert same_slots(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (cron("0 0 * * *"), cron("0 1 * * *")),
        (cron("0 0 * * *"), cron("0 0 0,1 * * *")),
        (cron("0 0 * * *"), cron("0 0 * 1-11 *")),
        (cron("0 0 13 * 5"), cron("0 0 */13 * 5")),
        (cron("0 0 L * *"), cron("0 0 31 * *")),
        (cron("0 9 * * *"), cron("0 9 * * *", "Europe/Berlin")),
        (cron("0 * * * *", "Europe/Berlin"), cron("0 0-23 * * *", "Europe/Berlin")),
        (
            cron("0 2 * * *", "Europe/Berlin"),
            cron("0 2 * * *", "Europe/Berlin", dst=Dst(gap=Gap.SKIP)),
        ),
        (
            cron("0 2 * * *", "Europe/Berlin"),
            cron("0 2 * * *", "Europe/Berlin", dst=Dst(overlap=Repeat.BOTH)),
        ),
        (cron("@daily"), cron("@daily", start_at=NINE)),
        (cron("@daily"), cron("@daily", end_at=NINE)),
        (cron("@daily"), cron("@daily", exclude=(date(2026, 12, 25),))),
        (cron("@daily"), cron("@daily", offset=SECOND)),
        (a_schedule(MINUTE), a_schedule(HOUR)),
        (a_schedule(MINUTE), a_schedule(MINUTE, anchor=NINE + SECOND)),
        (a_schedule(MINUTE), a_schedule(MINUTE, anchor=NINE + MINUTE)),
        (a_schedule(MINUTE), a_schedule(MINUTE, end_at=NINE + DAY)),
        (a_schedule(MINUTE), a_schedule(MINUTE, exclude=(NINE,))),
        (a_schedule(MINUTE), a_schedule(MINUTE, offset=SECOND)),
        (at(), at(NINE + TICK)),
        (at(), at(offset=TICK)),
        (at(), at(exclude=(NINE,))),
        (at(), a_schedule(MINUTE)),
        (cron("* * * * *"), a_schedule(MINUTE)),
    ],
)
def test_schedules_with_other_slots_are_not_the_same(one: Schedule, other: Schedule) -> None:
    assert not same_slots(one, other)
    assert not same_slots(other, one)


# What is refused


@pytest.mark.parametrize(
    ("schedule", "field", "reason"),
    [
        (cron("61 * * * *"), "cron", "the minute is 0 to 59, not: '61'"),
        (cron("0 0 30 2 *"), "cron", "names no date that ever comes: '0 0 30 2 *'"),
        (cron("@daily", "Mars/Olympus"), "timezone", "unknown time zone 'Mars/Olympus'"),
        (
            cron("*/5 2 * 3 SUNL", "Europe/Berlin"),
            "cron",
            "the zone's clocks skip each of its times: '*/5 2 * 3 SUNL'",
        ),
        (
            cron("0 2 * 3 SUNL", "Europe/Berlin", dst=Dst(gap=Gap.SKIP)),
            "cron",
            "the zone's clocks skip each of its times: '0 2 * 3 SUNL'",
        ),
        (a_schedule(SECOND - TICK), "every_seconds", "lies between 1 and 3155760000"),
        (a_schedule(EVERY_MAX + SECOND), "every_seconds", "lies between 1 and 3155760000"),
        (
            a_schedule(timedelta(seconds=1, microseconds=1)),
            "every_seconds",
            "is a whole number of milliseconds",
        ),
        (cron("@daily", start_at=NINE, end_at=NINE - TICK), "end_at", "lies before start_at"),
        (
            cron("@daily", start_at=NINE, end_at=NINE + HOUR),
            "end_at",
            "no slot lies between start_at and end_at",
        ),
        (at(start_at=NINE + TICK), "at", "no slot lies between start_at and end_at"),
        (at(end_at=NINE - TICK), "at", "no slot lies between start_at and end_at"),
        (at(exclude=(NINE,)), "exclude", "leaves no slot"),
        (
            cron("@daily", start_at=NINE, end_at=NINE + DAY, exclude=(date(2026, 12, 2),)),
            "exclude",
            "leaves no slot",
        ),
        (
            a_schedule(HOUR, start_at=NINE, end_at=NINE + 2 * HOUR, exclude=(NINE.date(),)),
            "exclude",
            "leaves no slot",
        ),
        (
            cron("@daily", exclude=tuple(date(2026, 1, 1) + n * DAY for n in range(501))),
            "exclude",
            "holds more than 500 entries",
        ),
        (cron("@daily", max_runs=0), "max_runs", "is at least 1"),
        (cron("@daily", spread=-TICK), "spread_seconds", "lies between 0 and 86400"),
        (cron("@daily", spread=SPREAD_MAX + TICK), "spread_seconds", "lies between 0 and 86400"),
    ],
)
def test_a_schedule_that_cannot_be_used_is_refused_at_its_field(
    schedule: Schedule, field: str, reason: str
) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        check(schedule)

    assert caught.value.field == field
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    "schedule",
    [
        at(),
        at(start_at=NINE, end_at=NINE),
        a_schedule(SECOND),
        a_schedule(EVERY_MAX),
        a_schedule(timedelta(seconds=1.5), max_runs=1),
        a_schedule(HOUR, anchor=NINE, end_at=NINE - DAY),
        cron("* * * * * *", "Pacific/Chatham", spread=SPREAD_MAX),
        cron("@daily", start_at=NINE, end_at=NINE + 15 * HOUR),
        cron("0 0 29 2 *", start_at=NINE, exclude=(date(2028, 2, 29),)),
        cron("@daily", exclude=tuple(date(2026, 1, 1) + n * DAY for n in range(500))),
        cron("@daily", end_at=NINE - 3650 * DAY),
    ],
)
def test_a_schedule_that_can_be_used_passes(schedule: Schedule) -> None:
    """Without `start_at`, whether a slot is left before `end_at` shows when the job is created."""
    check(schedule)


def test_the_check_looks_at_the_rule_and_not_at_one_jobs_shift() -> None:
    check(at(offset=HOUR, end_at=NINE))
