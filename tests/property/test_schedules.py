"""Laws of slots: they are what the rule says, in order, once, however one looks for them."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from punctual.core.cron import parse
from punctual.core.errors import InvalidSchedule
from punctual.core.schedules import Cron, Schedule
from punctual.core.slots import check, count_slots, next_slot, same_slots, slots_between
from tests.property.cron_oracle import day_matches, oracle, pinned
from tests.property.schedules import (
    DAY,
    days,
    field,
    five_fields,
    macros,
    moments,
    months,
    schedules,
    six_fields,
    weekdays,
    wishes,
    zones,
)


def refuse_never(expression: str) -> None:
    """Pass over expressions whose dates never come: the oracle would look for them for ever."""
    try:
        parse(expression)
    except InvalidSchedule as error:
        assume("names no date" not in str(error))
        raise


def agree_with_the_oracle(data: st.DataObject) -> None:
    """Compare an expression's slots over an interval with what looking at each minute finds."""
    zone = data.draw(zones)
    after = data.draw(moments(zone))
    if data.draw(st.integers(0, 9)):
        expression, longest = data.draw(five_fields | macros), 1440
    else:
        expression, longest = data.draw(six_fields), 60
    refuse_never(expression)
    until = after + timedelta(minutes=data.draw(st.integers(1, longest)))
    dst = data.draw(wishes)
    schedule = Schedule(rule=Cron(expression=expression, timezone=zone, dst=dst))

    expected = oracle(
        expression,
        pinned(zone),
        after=after,
        until=until,
        gap=dst.gap if dst else None,
        overlap=dst.overlap if dst else None,
    )

    assert list(slots_between(schedule, after=after, until=until)) == list(expected)


@settings(max_examples=2500, deadline=None)
@given(st.data())
def test_slots_are_what_looking_at_every_minute_finds(data: st.DataObject) -> None:
    agree_with_the_oracle(data)


@pytest.mark.nightly
@settings(max_examples=100_000, deadline=None)
@given(st.data())
def test_slots_are_what_looking_at_every_minute_finds_a_hundred_thousand_times(
    data: st.DataObject,
) -> None:
    agree_with_the_oracle(data)


@settings(max_examples=150, deadline=None)
@given(days, months, weekdays, st.dates(date(2000, 1, 1), date(2098, 1, 1)))
def test_the_days_of_two_years_are_those_that_the_calendar_allows(
    day: str, month: str, weekday: str, first: date
) -> None:
    expression = f"0 0 {day} {month} {weekday}"
    refuse_never(expression)
    schedule = Schedule(rule=Cron(expression=expression))
    since = datetime(first.year, first.month, first.day, tzinfo=UTC)

    found = slots_between(schedule, after=since, until=since + 730 * DAY)

    assert [slot.date() for slot in found] == [
        today
        for today in (first + n * DAY for n in range(1, 731))
        if day_matches(day, month, weekday, today)
    ]


@settings(max_examples=150, deadline=None)
@given(st.data(), zones)
def test_slots_are_in_order_and_each_comes_once(data: st.DataObject, zone: str) -> None:
    at = data.draw(moments(zone))
    schedule = data.draw(schedules(at=at, zone=zone))
    refuse_unusable(schedule)

    slots = list(slots_between(schedule, after=at - DAY, until=at + DAY))

    assert all(earlier < later for earlier, later in pairwise(slots))
    assert all(at - DAY < slot <= at + DAY for slot in slots)
    assert count_slots(schedule, after=at - DAY, until=at + DAY, limit=10**6) == len(slots)
    assert count_slots(schedule, after=at - DAY, until=at + DAY, limit=2) == min(2, len(slots))


@settings(max_examples=150, deadline=None)
@given(st.data(), zones)
def test_an_interval_may_be_split_anywhere(data: st.DataObject, zone: str) -> None:
    """At a slot too, and between two milliseconds."""
    at = data.draw(moments(zone))
    schedule = data.draw(schedules(at=at, zone=zone))
    refuse_unusable(schedule)
    whole = list(slots_between(schedule, after=at - DAY, until=at + DAY))
    somewhere = st.integers(-86_400_000_000, 86_400_000_000)
    places = somewhere.map(lambda microseconds: at + timedelta(microseconds=microseconds))
    if whole:
        places |= st.sampled_from(whole)
    cut = data.draw(places)

    parts = [
        *slots_between(schedule, after=at - DAY, until=cut),
        *slots_between(schedule, after=cut, until=at + DAY),
    ]

    assert parts == whole


@settings(max_examples=150, deadline=None)
@given(st.data(), zones)
def test_bounds_and_exclusions_take_slots_away_and_the_offset_shifts_the_rest(
    data: st.DataObject, zone: str
) -> None:
    at = data.draw(moments(zone))
    schedule = data.draw(schedules(at=at, zone=zone))
    refuse_unusable(schedule)
    local = pinned(zone) if isinstance(schedule.rule, Cron) else UTC
    since, until = at - 2 * DAY, at + 2 * DAY

    of_rule = slots_between(
        Schedule(rule=schedule.rule), after=since - schedule.offset, until=until - schedule.offset
    )

    assert list(slots_between(schedule, after=since, until=until)) == [
        slot + schedule.offset
        for slot in of_rule
        if (schedule.start_at is None or schedule.start_at <= slot)
        and (schedule.end_at is None or slot <= schedule.end_at)
        and slot not in schedule.exclude
        and slot.astimezone(local).date() not in schedule.exclude
    ]


@settings(max_examples=150, deadline=None)
@given(st.data(), zones)
def test_schedules_that_are_called_the_same_are_the_same(data: st.DataObject, zone: str) -> None:
    """Of two that differ in little: the same but for one part, or two of few minutes and hours."""
    at = data.draw(moments(zone))
    one = data.draw(schedules(at=at, zone=zone))
    other = data.draw(st.just(one) | schedules(at=at, zone=zone))
    few = st.builds("{} {} * * *".format, field(0, 2), field(0, 2))
    if isinstance(one.rule, Cron) and isinstance(other.rule, Cron):
        one, other = (
            Schedule(rule=Cron(expression=data.draw(few), timezone=zone, dst=data.draw(wishes)))
            for _ in range(2)
        )
    refuse_unusable(one)
    refuse_unusable(other)

    if same_slots(one, other):
        assert list(slots_between(one, after=at - 2 * DAY, until=at + 2 * DAY)) == list(
            slots_between(other, after=at - 2 * DAY, until=at + 2 * DAY)
        )


@settings(max_examples=150, deadline=None)
@given(st.data(), zones)
def test_a_schedule_that_passes_the_check_has_a_slot(data: st.DataObject, zone: str) -> None:
    at = data.draw(moments(zone))
    schedule = data.draw(schedules(at=at, zone=zone))
    try:
        check(schedule)
    except InvalidSchedule as error:
        assert error.field in {"at", "cron", "end_at", "exclude"}  # noqa: PT017 - of either outcome
        return

    if schedule.start_at is not None:
        before = schedule.start_at - timedelta(milliseconds=1) + schedule.offset
        assert next_slot(schedule, after=before) is not None


def refuse_unusable(schedule: Schedule) -> None:
    if isinstance(schedule.rule, Cron):
        refuse_never(schedule.rule.expression)
