"""When another attempt starts, and when none does."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.core.retry import Jitter, RetryPolicy, retry_at

NINE = datetime(2026, 12, 1, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@given(attempt=st.integers(1, 10_000), draw=st.floats(0, 1, exclude_max=True))
def test_full_jitter_stays_under_a_ceiling_that_doubles_up_to_the_longest(
    attempt: int, draw: float
) -> None:
    policy = RetryPolicy(min_delay=SECOND, max_delay=300 * SECOND)

    delay = policy.delay_after(attempt, draw=draw)

    ceiling = min(2 ** min(attempt - 1, 20), 300) * SECOND
    assert timedelta(0) <= delay <= ceiling


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300)])
def test_without_jitter_the_delay_is_the_ceiling(attempt: int, seconds: int) -> None:
    policy = RetryPolicy(jitter=Jitter.NONE)

    assert policy.delay_after(attempt, draw=0.123) == seconds * SECOND


def again(
    *, attempt: int = 1, now: datetime = NINE, asked_for: timedelta | None = None, draw: float = 0.5
) -> datetime | None:
    return retry_at(
        RetryPolicy(max_age=timedelta(hours=1)),
        attempt=attempt,
        max_attempts=3,
        first_started_at=NINE,
        now=now,
        asked_for=asked_for,
        draw=draw,
    )


def test_the_last_attempt_is_not_followed_by_another() -> None:
    assert again(attempt=2) is not None
    assert again(attempt=3) is None


def test_a_target_may_ask_for_a_longer_wait_but_not_for_a_shorter_one() -> None:
    assert again(asked_for=timedelta(minutes=10)) == NINE + timedelta(minutes=10)
    assert again(asked_for=timedelta(0)) == NINE + timedelta(milliseconds=500)


def test_no_attempt_starts_past_the_greatest_age_not_even_at_the_targets_wish() -> None:
    assert again(asked_for=timedelta(hours=1)) == NINE + timedelta(hours=1)
    assert again(asked_for=timedelta(hours=1, seconds=1)) is None
    assert again(now=NINE + timedelta(hours=1), draw=0.9) is None
