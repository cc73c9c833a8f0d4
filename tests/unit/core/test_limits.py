"""Limits that jobs share: who is let in, when, and who is struck off."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.core.limits import (
    AHEAD,
    Entered,
    Full,
    Limit,
    LimitKey,
    Token,
    Usage,
    enter,
    leave,
    without_dead,
)
from punctual.core.runs import RunState
from tests.support.builders import MINUTE, SECOND, TICK, a_run, a_run_key
from tests.support.clock import NINE

CRM, MAIL = LimitKey("acme", "crm-api"), LimitKey("acme", "mail")
TWO = Limit(key="crm-api", max_concurrent=2)
FIVE_A_SECOND = Limit(key="crm-api", rate_per_second=5)


def a_token(number: int) -> Token:
    return Token(a_run_key(NINE + number * MINUTE), f"owner-{number}")


def holding(*numbers: int, key: LimitKey = CRM) -> Usage:
    return Usage(key=key, version="seen", holders=tuple(map(a_token, numbers)))


def entered(answer: Entered | Full) -> Entered:
    assert isinstance(answer, Entered), str(answer)
    return answer


def test_an_attempt_is_let_in_while_there_is_room() -> None:
    answer = entered(enter([TWO], {"crm-api": holding(1)}, a_token(2), now=NINE))

    assert answer == Entered(usages=(holding(1, 2),), start_at=NINE)
    assert enter([TWO], {"crm-api": holding(1, 2)}, a_token(3), now=NINE) == Full(key="crm-api")


def test_an_attempt_that_is_in_takes_no_second_place() -> None:
    answer = entered(enter([TWO], {"crm-api": holding(1, 2)}, a_token(2), now=NINE))

    assert answer.usages == (holding(1, 2),)


def test_a_job_is_bound_by_its_own_number_whatever_others_say() -> None:
    """Three are in by a job that allows more, and one whose own number was lowered meanwhile."""
    usages = {"crm-api": holding(1, 2, 3)}

    assert isinstance(enter([TWO], usages, a_token(4), now=NINE), Full)
    assert enter([replace(TWO, max_concurrent=4)], usages, a_token(4), now=NINE) == Entered(
        usages=(holding(1, 2, 3, 4),), start_at=NINE
    )


def test_an_attempt_is_let_into_both_limits_or_into_none() -> None:
    limits = [TWO, Limit(key="mail", max_concurrent=1)]
    free = {"crm-api": holding(), "mail": holding(key=MAIL)}

    answer = entered(enter(limits, free, a_token(1), now=NINE))
    assert answer.usages == (holding(1), holding(1, key=MAIL))

    taken = free | {"mail": holding(7, key=MAIL)}
    assert enter(limits, taken, a_token(1), now=NINE) == Full(key="mail")


def test_a_limit_of_starts_counts_nobody_who_is_in() -> None:
    answer = entered(enter([FIVE_A_SECOND], {"crm-api": holding()}, a_token(1), now=NINE))

    assert answer.start_at == NINE
    assert answer.usages == (replace(holding(), next_start=NINE + 200 * TICK),)


def test_starts_are_reserved_one_after_the_other_up_to_two_seconds_ahead() -> None:
    usage = holding()
    starts = []
    for number in range(11):
        answer = entered(enter([FIVE_A_SECOND], {"crm-api": usage}, a_token(number), now=NINE))
        (usage,) = answer.usages
        starts.append(answer.start_at)

    assert starts == [NINE + number * 200 * TICK for number in range(11)]
    assert starts[-1] == NINE + AHEAD
    late = enter([FIVE_A_SECOND], {"crm-api": usage}, a_token(11), now=NINE)
    assert late == Full(key="crm-api", until=NINE + 200 * TICK)


def test_a_start_is_no_earlier_than_each_of_two_rates_allows() -> None:
    limits = [FIVE_A_SECOND, Limit(key="mail", rate_per_second=1)]
    usages = {
        "crm-api": replace(holding(), next_start=NINE + 100 * TICK),
        "mail": replace(holding(key=MAIL), next_start=NINE + SECOND),
    }

    answer = entered(enter(limits, usages, a_token(1), now=NINE))

    assert answer.start_at == NINE + SECOND
    assert [usage.next_start for usage in answer.usages] == [
        NINE + SECOND + 200 * TICK,
        NINE + 2 * SECOND,
    ]


@given(
    rate=st.floats(min_value=0.001, max_value=100),
    steps=st.lists(st.integers(min_value=0, max_value=3_000), min_size=2, max_size=60),
)
def test_no_second_holds_more_starts_than_the_rate_says(rate: float, steps: list[int]) -> None:
    """Whoever comes when: those that start together with one are spaced by the rate."""
    limit = Limit(key="crm-api", rate_per_second=rate)
    assert limit.interval is not None
    usage, now, starts = holding(), NINE, []
    for step in steps:
        now += step * TICK
        answer = enter([limit], {"crm-api": usage}, a_token(1), now=now)
        if isinstance(answer, Entered):
            (usage,) = answer.usages
            starts.append(answer.start_at)

    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert all(gap >= timedelta(seconds=1 / rate) - timedelta(microseconds=1) for gap in gaps)


@pytest.mark.parametrize(
    ("rate", "milliseconds"), [(5, 200), (3, 334), (100, 10), (0.001, 1_000_000)]
)
def test_the_time_between_starts_is_rounded_up_to_milliseconds(
    rate: float, milliseconds: int
) -> None:
    assert Limit(key="a", rate_per_second=rate).interval == milliseconds * TICK


def test_whoever_leaves_is_struck_off() -> None:
    assert leave(holding(1, 2, 3), [a_token(2), a_token(9)]) == holding(1, 3)


def test_whoever_does_not_hold_their_run_any_more_is_struck_off() -> None:
    """One goes on; one ended; one retries; one was taken over by another attempt; one is gone."""
    states = [RunState.RUNNING, RunState.SUCCEEDED, RunState.RETRYING, RunState.RUNNING]
    runs = [a_run(NINE + n * MINUTE, state=state) for n, state in enumerate(states)]
    runs[0] = replace(runs[0], owner="owner-0")
    runs[3] = replace(runs[3], owner="another")

    usage = without_dead(holding(0, 1, 2, 3, 4), {run.key: run for run in runs})

    assert usage == holding(0)
