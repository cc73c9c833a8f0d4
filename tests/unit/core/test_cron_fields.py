"""What a cron expression may say, what it means by it, and what is refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.core.cron import parse
from punctual.core.errors import InvalidSchedule
from tests.support.refusals import REFUSED
from tests.support.walks import instants


def refusal(expr: str) -> InvalidSchedule:
    """Return the error that an expression is refused with."""
    with pytest.raises(InvalidSchedule) as caught:
        parse(expr)
    return caught.value


def test_six_fields_begin_with_the_seconds() -> None:
    assert instants("*/20 30 9 * * *", after="2026-12-01 09:00", count=3) == [
        "2026-12-01 09:30",
        "2026-12-01 09:30:20",
        "2026-12-01 09:30:40",
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * sun", "0 0 * * 0"),
        ("0 0 * * 7-7", "0 0 * * 0"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("0 0 * * Fri-Sat", "0 0 * * 5,6"),
        ("0 0 * * 0-7", "0 0 * * *"),
        ("0 0 1 JAN,Jul *", "0 0 1 1,7 *"),
        ("0 0 * dec-dec *", "0 0 * 12 *"),
        ("0 5-5 * * *", "0 5 * * *"),
        ("0 5-5/2 * * *", "0 5 * * *"),
        ("7/20 * * * *", "7,27,47 * * * *"),
        ("59/2 * * * *", "59 * * * *"),
        ("0 0 28/2 * *", "0 0 28,30 * *"),
        ("0 0 * * 5/2", "0 0 * * 5,7"),
        ("0 0 * * 1-7/2", "0 0 * * 1,3,5,0"),
        ("10-20/5 * * * *", "10,15,20 * * * *"),
        ("10-21/5 * * * *", "10,15,20 * * * *"),
        ("*/90 * * * *", "0 * * * *"),
        ("05 09 * * *", "5 9 * * *"),
        (" \t0 \t 9 * *\t* ", "0 9 * * *"),
        ("0,0,30,0-30/30 * * * *", "0,30 * * * *"),
        ("0 0 ? * MON", "0 0 * * 1"),
        ("0 0 1 * ?", "0 0 1 * *"),
        ("0 0 * * 1L", "0 0 * * MONL"),
        ("0 0 * * 0l", "0 0 * * 7L"),
        ("0 0 * * fri#2", "0 0 * * 5#2"),
        ("0 0 lw * *", "0 0 LW * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@Hourly", "0 * * * *"),
    ],
)
def test_what_is_written_differently_may_mean_the_same(written: str, meant: str) -> None:
    one, other = parse(written), parse(meant)

    assert (one.seconds, one.minutes, one.hours, one.months, one.days, one.first) == (
        (other.seconds, other.minutes, other.hours, other.months, other.days, other.first)
    )


@pytest.mark.parametrize(
    ("expr", "days"),
    [
        ("0 0 L * *", ["01-31", "02-28", "03-31", "04-30"]),
        ("0 0 L-3 * *", ["01-28", "02-25", "03-28", "04-27"]),
        ("0 0 L-28 * *", ["01-03", "03-03", "04-02", "05-03"]),
        ("0 0 L-29 * *", ["01-02", "03-02", "04-01", "05-02"]),
        ("0 0 LW * *", ["01-30", "02-27", "03-31", "04-30", "05-29"]),
        ("0 0 1W * *", ["01-01", "02-02", "03-02", "04-01", "05-01"]),
        ("0 0 15W * *", ["01-15", "02-16", "03-16", "04-15", "05-15"]),
        ("0 0 31W * *", ["01-30", "03-31", "05-29", "07-31", "08-31"]),
        ("0 0 * * 5L", ["01-30", "02-27", "03-27", "04-24", "05-29"]),
        ("0 0 * * MON#1", ["01-05", "02-02", "03-02", "04-06", "05-04"]),
        ("0 0 * * 4#5", ["01-29", "04-30", "07-30", "10-29", "12-31"]),
        ("0 0 * * 1#1,1L", ["01-05", "01-26", "02-02", "02-23", "03-02"]),
        ("0 0 31 * *", ["01-31", "03-31", "05-31", "07-31", "08-31"]),
    ],
)
def test_special_days_are_those_of_the_calendar(expr: str, days: list[str]) -> None:
    found = instants(expr, after="2025-12-31 23:59", count=len(days))

    assert [at[5:10] for at in found] == days


@pytest.mark.parametrize(
    ("expr", "days"),
    [
        ("0 0 13 * 5", ["03-06", "03-13", "03-20", "03-27", "04-03", "04-10", "04-13"]),
        ("0 0 L * MON#1", ["03-02", "03-31", "04-06", "04-30"]),
        ("0 0 15W * 7", ["03-01", "03-08", "03-15", "03-16", "03-22"]),
    ],
)
def test_when_both_day_fields_are_restricted_either_is_enough(expr: str, days: list[str]) -> None:
    found = instants(expr, after="2026-02-28 23:59", count=len(days))

    assert [at[5:10] for at in found] == days


@pytest.mark.parametrize(
    ("expr", "days"),
    [
        ("0 0 */2 * MON", ["03-09", "03-23", "04-13", "04-27"]),
        ("0 0 13 * */5", ["03-13", "09-13", "11-13"]),
        ("0 0 *,13 * FRI", ["03-06", "03-13", "03-20"]),
        ("0 0 ? * FRI", ["03-06", "03-13", "03-20"]),
        ("0 0 L * */2", ["03-31", "04-30", "05-31", "06-30", "10-31"]),
    ],
)
def test_when_a_day_field_opens_with_a_star_both_must_match(expr: str, days: list[str]) -> None:
    found = instants(expr, after="2026-02-28 23:59", count=len(days))

    assert [at[5:10] for at in found] == days


def test_a_leap_day_skips_the_century_that_has_none() -> None:
    assert instants("0 0 29 2 *", after="2092-03-01 00:00", count=2) == [
        "2096-02-29 00:00",
        "2104-02-29 00:00",
    ]


def test_a_day_too_far_from_the_end_of_its_month_is_left_out() -> None:
    """February has a day 28 days before its last in leap years only; Mondays come in any year."""
    assert instants("0 0 L-28 2 MON#1", after="2026-01-01 00:00", count=4) == [
        "2026-02-02 00:00",
        "2027-02-01 00:00",
        "2028-02-01 00:00",
        "2028-02-07 00:00",
    ]


def test_a_year_without_a_leap_day_is_not_taken_for_one() -> None:
    """Asked of the walk itself, which a zone's periods may ask twice."""
    leap_day = parse("0 0 29 2 *")
    march_2096, leap_2104 = (
        int(datetime(year, month, day, tzinfo=UTC).timestamp())
        for year, month, day in ((2096, 3, 1), (2104, 2, 29))
    )

    assert leap_day.next(march_2096) == leap_2104


def test_a_leap_day_on_a_sunday_is_found_forty_years_away() -> None:
    assert instants("0 0 29 2 */7", after="2088-03-01 00:00", count=1) == ["2128-02-29 00:00"]


@pytest.mark.parametrize(("expr", "reason"), REFUSED)
def test_what_we_will_not_guess_at_is_refused_with_the_reason(expr: str, reason: str) -> None:
    error = refusal(expr)

    assert error.field == "cron"
    assert str(error).startswith(reason)
    assert len(str(error)) <= 500


def test_a_date_that_never_comes_may_stand_beside_one_that_does() -> None:
    assert instants("0 0 30 2 1#1", after="2026-01-01 00:00", count=1) == ["2026-02-02 00:00"]


@given(
    st.text(max_size=300)
    | st.lists(
        st.text(st.sampled_from("0123456789*/-,LW#?ABCDEFIJMNORSTU"), min_size=1, max_size=12),
        min_size=5,
        max_size=6,
    ).map(" ".join)
)
def test_whatever_is_written_is_read_or_refused_in_few_words(text: str) -> None:
    error = error_of(text)

    assert error is None or (error.field == "cron" and 1 <= len(str(error)) <= 500)


def error_of(text: str) -> InvalidSchedule | None:
    try:
        parse(text)
    except InvalidSchedule as error:
        return error
    return None


def test_an_error_repeats_at_most_forty_characters_of_what_was_written() -> None:
    assert str(refusal("x" * 41 + " * * * *")) == (
        f"the minute field cannot be read: '{'X' * 40}'…"
    )
    assert str(refusal("\U0001f600" * 200)).count("1f600") == 40
