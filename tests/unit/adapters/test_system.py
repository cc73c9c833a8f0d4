"""The real clock and randomness keep what their ports promise."""

import re
from datetime import UTC, datetime, timedelta

from punctual.adapters.system import SystemChance, SystemClock


def test_the_clock_tells_utc_in_whole_milliseconds() -> None:
    before = datetime.now(UTC)

    now = SystemClock().now()

    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0
    assert before - timedelta(milliseconds=1) < now <= datetime.now(UTC)


def test_the_clock_sleeps_at_least_as_long_as_asked_and_not_at_all_for_the_past() -> None:
    clock = SystemClock()
    start = clock.now()

    clock.sleep(timedelta(days=-1))
    clock.sleep(timedelta(0))
    clock.sleep(timedelta(milliseconds=2))

    assert clock.now() - start >= timedelta(milliseconds=1)  # both ends are rounded down


def test_tokens_are_short_printable_and_never_the_same() -> None:
    chance = SystemChance()

    tokens = {chance.token() for _ in range(1000)}

    assert len(tokens) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", token) for token in tokens)


def test_draws_lie_between_nothing_and_one() -> None:
    chance = SystemChance()

    draws = [chance.draw() for _ in range(1000)]

    assert all(0 <= draw < 1 for draw in draws)
    assert min(draws) < 0.1
    assert max(draws) > 0.9
