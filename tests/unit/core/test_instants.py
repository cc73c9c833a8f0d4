"""Instants keep their meaning through text and numbers."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.core.instants import epoch_ms, format_instant, from_epoch_ms, parse_instant

NINE = datetime(2026, 12, 1, 9, tzinfo=UTC)
LAST_MS = 253_402_300_799_999
FIRST_MS = -62_135_596_800_000


def test_a_whole_second_is_written_without_a_fraction() -> None:
    assert format_instant(NINE) == "2026-12-01T09:00:00Z"


def test_milliseconds_are_written_when_not_zero() -> None:
    assert format_instant(NINE.replace(microsecond=123_999)) == "2026-12-01T09:00:00.123Z"
    assert format_instant(NINE.replace(microsecond=999)) == "2026-12-01T09:00:00Z"


def test_an_instant_of_any_offset_is_written_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    assert format_instant(datetime(2026, 12, 1, 10, tzinfo=berlin)) == "2026-12-01T09:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-01T09:00:00Z",
        "2026-12-01t09:00:00z",
        "2026-12-01T09:00:00.000Z",
        "2026-12-01T09:00:00.000999Z",
        "2026-12-01T09:00:00.000999999Z",
        "2026-12-01T10:00:00+01:00",
        "2026-11-30T23:30:00-09:30",
        "2026-12-01T09:00:00-00:00",
    ],
)
def test_an_instant_may_carry_any_offset_and_is_read_to_the_millisecond(text: str) -> None:
    assert parse_instant(text) == NINE
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-12-01",
        "2026-12-01T09:00:00",
        "2026-12-01 09:00:00Z",
        "2026-12-01T09:00Z",
        "2026-12-01T09:00:00Z\n",
        "20261201T090000Z",
        "2026-W49-2T09:00:00Z",
        "2026-02-29T09:00:00Z",
        "2026-12-01T24:00:00Z",
        "2026-12-01T09:00:60Z",
        "2026-12-01T09:00:00+0100",
        "2026-12-01T09:00:00+24:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2026-12-01T09:00:00.Z",
        "2026-12-01T09:00:00.0000000001Z",
        "٢٠٢٦-12-01T09:00:00Z",
    ],
)
def test_what_is_not_an_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)


@given(st.integers(min_value=FIRST_MS, max_value=LAST_MS))
def test_text_and_numbers_lose_nothing(milliseconds: int) -> None:
    instant = from_epoch_ms(milliseconds)
    assert epoch_ms(instant) == milliseconds
    assert parse_instant(format_instant(instant)) == instant
