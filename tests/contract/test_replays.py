"""A move whose answer was lost is made again: it counts as done, and is not done twice."""

from dataclasses import replace
from datetime import datetime

import pytest

from punctual.core.identity import RunKey
from punctual.core.runs import (
    Cancel,
    Finish,
    GiveUp,
    Hold,
    Move,
    Reap,
    RequestCancel,
    Retry,
    Run,
    RunState,
    Start,
    Void,
    VoidQueued,
    Wait,
)
from punctual.ports import Moved
from tests.support.builders import MINUTE, SECOND, a_failure, a_run, a_run_key, an_ending
from tests.support.clock import NINE
from tests.support.engines import Engine

KEY = a_run_key()

START = Start(key=KEY, owner="a", now=NINE, lease_until=NINE + MINUTE)
FINISH = Finish(key=KEY, owner="a", ending=an_ending(), scheduled_at=NINE)
RETRY = Retry(key=KEY, owner="a", failure=a_failure())
WAIT = Wait(key=KEY, owner="a", attempt=1, retry_at=NINE + MINUTE, reason="gate")
CANCELLED = an_ending(RunState.CANCELLED)
HOLD = Hold(
    key=KEY,
    owner="a",
    attempt=1,
    started_at=NINE,
    lease_until=NINE + 20 * SECOND,
    heartbeat=MINUTE,
    is_first=True,
)


def move(engine: Engine, move: Move) -> Moved:
    (moved,) = engine.runs.move([move])
    return moved


def stored(engine: Engine, key: RunKey = KEY) -> Run | None:
    return engine.runs.read([key]).get(key)


def queue(engine: Engine, *moves: Move, max_attempts: int = 3) -> None:
    """Insert the run and make some moves, all of which happen."""
    engine.runs.insert([a_run(max_attempts=max_attempts)])
    for each in moves:
        assert move(engine, each).applied


def lease_of(engine: Engine) -> datetime | None:
    run = stored(engine)
    assert run is not None
    return run.lease_until


def test_a_start_is_not_a_second_attempt(engine: Engine) -> None:
    queue(engine, START)
    started = stored(engine)

    again = move(engine, replace(START, now=NINE + SECOND, lease_until=NINE + 2 * MINUTE))

    assert again.applied
    assert again.run == stored(engine) == started
    assert started is not None
    assert (started.attempt, started.starts) == (1, (NINE,))


def test_a_start_after_which_another_took_over_is_lost(engine: Engine) -> None:
    late = NINE + 2 * MINUTE
    queue(engine, START, Start(key=KEY, owner="b", now=late, lease_until=late + MINUTE))

    again = move(engine, START)

    assert not again.applied
    assert again.run is not None
    assert again.run.held_by("b")


def test_a_finish_stands_as_it_was_first_written(engine: Engine) -> None:
    queue(engine, START, FINISH)
    ended = stored(engine)

    again = move(engine, replace(FINISH, ending=an_ending(RunState.FAILED)))

    assert again.applied
    assert stored(engine) == ended


def test_a_finish_of_another_attempt_is_told_from_a_repeated_one(engine: Engine) -> None:
    queue(engine, START, FINISH)

    other = move(engine, replace(FINISH, owner="b"))

    assert not other.applied
    assert other.run == stored(engine)


def test_an_outcome_that_no_attempt_wrote_is_nobodys_finish(engine: Engine) -> None:
    queue(
        engine,
        START,
        RequestCancel(key=KEY, at=NINE),
        Reap(key=KEY, now=NINE + 2 * MINUTE, ending=CANCELLED, scheduled_at=NINE),
    )

    assert not move(engine, FINISH).applied


def test_a_retry_is_one_failure(engine: Engine) -> None:
    queue(engine, START, RETRY)
    waiting = stored(engine)

    assert move(engine, RETRY).applied

    assert stored(engine) == waiting
    assert waiting is not None
    assert len(waiting.failures) == 1


def test_a_retry_of_another_failure_is_no_repeat(engine: Engine) -> None:
    queue(engine, START, RETRY)

    assert not move(engine, replace(RETRY, failure=a_failure(after=2 * SECOND))).applied


def test_a_wait_takes_one_attempt_back(engine: Engine) -> None:
    queue(engine, START, WAIT)
    waiting = stored(engine)

    assert move(engine, WAIT).applied

    assert stored(engine) == waiting
    assert waiting is not None
    assert (waiting.attempt, waiting.starts) == (0, ())


def test_a_wait_for_something_else_is_no_repeat(engine: Engine) -> None:
    queue(engine, START, WAIT)

    assert not move(engine, replace(WAIT, reason="limit")).applied
    assert not move(engine, replace(WAIT, retry_at=NINE + 2 * MINUTE)).applied


def test_a_voided_row_is_gone(engine: Engine) -> None:
    queue(engine, START, Void(key=KEY, owner="a"))
    assert move(engine, Void(key=KEY, owner="a")).applied

    queue(engine, VoidQueued(key=KEY, schedule_revision=1))
    assert move(engine, VoidQueued(key=KEY, schedule_revision=1)).applied

    assert stored(engine) is None


def test_a_void_does_not_touch_the_row_that_came_after_it(engine: Engine) -> None:
    """The job was changed back: the slot is handed over again, under a newer revision."""
    queue(engine, VoidQueued(key=KEY, schedule_revision=1))
    again = a_run(schedule_revision=2)
    engine.runs.insert([again])

    late = move(engine, VoidQueued(key=KEY, schedule_revision=1))

    assert not late.applied
    assert late.run == stored(engine) == again


def test_a_heartbeat_may_come_twice(engine: Engine) -> None:
    queue(engine, START, HOLD, HOLD)

    assert lease_of(engine) == NINE + 20 * SECOND


@pytest.mark.parametrize("guess", [True, False])
def test_a_hold_that_arrives_late_takes_nothing_from_those_that_came_after_it(
    engine: Engine, guess: bool
) -> None:
    """The first one that is written may end the lease sooner than the start did, and no other."""
    first, second, third = (
        replace(HOLD, is_first=guess, lease_until=NINE + seconds * SECOND)
        for seconds in (20, 40, 90)
    )
    queue(engine, START, first)
    assert lease_of(engine) == NINE + 20 * SECOND
    queue(engine, second, third)
    assert lease_of(engine) == NINE + 90 * SECOND

    for late in (first, second, replace(first, is_first=not guess)):
        answer = move(engine, late)

        assert answer.applied, "the attempt may be silent for as long, and longer"
        assert answer.run == stored(engine)
        assert lease_of(engine) == NINE + 90 * SECOND


def test_the_first_hold_of_each_attempt_may_end_its_lease_sooner(engine: Engine) -> None:
    late = NINE + 3 * MINUTE
    taken_over = replace(START, owner="b", now=late, lease_until=late + 15 * MINUTE)
    again = replace(HOLD, owner="b", attempt=2, started_at=late, lease_until=late + 20 * SECOND)
    queue(engine, START, HOLD, taken_over, again)
    assert lease_of(engine) == late + 20 * SECOND

    assert not move(engine, replace(HOLD, lease_until=late + 20 * MINUTE)).applied
    assert lease_of(engine) == late + 20 * SECOND


def test_an_end_that_no_attempt_wrote_is_written_once(engine: Engine) -> None:
    """Whoever comes second is told the outcome that stands, and decides on that."""
    give_up = GiveUp(
        key=KEY,
        owner="a",
        now=NINE + 2 * MINUTE,
        ending=an_ending(RunState.UNKNOWN),
        scheduled_at=NINE,
    )
    queue(engine, START, give_up, max_attempts=1)
    ended = stored(engine)

    for late in (give_up, Cancel(key=KEY, ending=CANCELLED, scheduled_at=NINE), FINISH):
        again = move(engine, late)

        assert not again.applied
        assert again.run == stored(engine) == ended
