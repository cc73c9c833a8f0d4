"""Every move over every kind of row does what the core says, as the table's own conditions say it.

Rows are brought to their states by moves alone, so that no test of a state is about one that the
table cannot hold. All rows of one state, and one move for each of them, go through shared requests.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

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
    after,
    permits,
)
from tests.support.builders import MINUTE, SECOND, TICK, a_failure, a_run, a_run_key, an_ending
from tests.support.clock import NINE
from tests.support.engines import Engine

pytestmark = pytest.mark.emulator

NOW = NINE + MINUTE
ANY_KEY = a_run_key()
"""Stands in for the key of the row that a move is tried on."""


def start(owner: str = "a", *, at_second: int = 0, lease_seconds: int = 300) -> Start:
    now = NINE + at_second * SECOND
    return Start(key=ANY_KEY, owner=owner, now=now, lease_until=now + lease_seconds * SECOND)


def finish(state: RunState, owner: str = "a") -> Finish:
    return Finish(key=ANY_KEY, owner=owner, ending=an_ending(state), scheduled_at=NINE)


def retry(owner: str = "a", *, after_seconds: int = 0) -> Retry:
    return Retry(key=ANY_KEY, owner=owner, failure=a_failure(after=after_seconds * SECOND))


def wait(owner: str = "a", *, attempt: int = 1, minutes: int = 9) -> Wait:
    at = NINE + minutes * MINUTE
    return Wait(key=ANY_KEY, owner=owner, attempt=attempt, retry_at=at, reason="gate")


ASKED_TO_STOP = RequestCancel(key=ANY_KEY, at=NINE + SECOND)

WAYS: dict[str, Sequence[Move]] = {
    "queued": (),
    "running": (start(),),
    "running, its lease ends this instant": (start(lease_seconds=60),),
    "abandoned a moment ago": (replace(start(), lease_until=NOW - TICK),),
    "abandoned": (start(lease_seconds=5),),
    "taken over": (start("z", lease_seconds=5), start(at_second=6)),
    "abandoned with no attempt left": (
        start("z", lease_seconds=5),
        start(at_second=6, lease_seconds=5),
    ),
    "on its last attempt after a retry": (start(), retry(), start(at_second=30)),
    "retry due": (start(), retry(after_seconds=2)),
    "retry due this instant": (start(), retry(after_seconds=59)),
    "retry to come": (start(), retry(after_seconds=3600)),
    "waiting": (start(), wait()),
    "waited": (start(), wait(minutes=1)),
    "waited after a retry": (start(), retry(), start("a", at_second=9), wait(attempt=2, minutes=1)),
    "asked to stop": (start(), ASKED_TO_STOP),
    "asked to stop and abandoned": (start(lease_seconds=5), ASKED_TO_STOP),
    "asked to stop and retrying": (start(), ASKED_TO_STOP, retry(after_seconds=3600)),
    "heartbeat": (start(lease_seconds=5), Hold(key=ANY_KEY, owner="a", lease_until=NOW)),
    "succeeded": (start(), finish(RunState.SUCCEEDED)),
    "failed": (start(), retry(), start(at_second=30), finish(RunState.FAILED)),
    "cancelled unstarted": (
        Cancel(key=ANY_KEY, ending=an_ending(RunState.CANCELLED), scheduled_at=NINE),
    ),
    "waited, then missed": (start(), wait(minutes=0), start(at_second=1), finish(RunState.MISSED)),
}

MOVES: Sequence[Move] = (
    *(
        move
        for owner in ("a", "b")
        for move in (
            replace(start(owner), now=NOW),
            finish(RunState.TIMED_OUT, owner),
            retry(owner, after_seconds=77),
            wait(owner, minutes=77),
            Hold(key=ANY_KEY, owner=owner, lease_until=NINE + 99 * MINUTE),
            Void(key=ANY_KEY, owner=owner),
            GiveUp(
                key=ANY_KEY,
                owner=owner,
                now=NOW,
                ending=an_ending(RunState.UNKNOWN),
                scheduled_at=NINE,
            ),
        )
    ),
    VoidQueued(key=ANY_KEY, schedule_revision=1),
    VoidQueued(key=ANY_KEY, schedule_revision=2),
    Cancel(key=ANY_KEY, ending=an_ending(RunState.CANCELLED), scheduled_at=NINE),
    RequestCancel(key=ANY_KEY, at=NOW),
    Reap(key=ANY_KEY, now=NOW, ending=an_ending(RunState.CANCELLED), scheduled_at=NINE),
)


@pytest.mark.parametrize("way", WAYS)
def test_a_move_happens_when_the_core_permits_it_and_leaves_what_the_core_says(
    engine: Engine, way: str
) -> None:
    rows = [a_run(NINE + n * SECOND, max_attempts=2) for n in range(len(MOVES))]
    assert all(engine.runs.insert(rows))
    for step in WAYS[way]:
        steps = [replace(step, key=row.key) for row in rows]
        assert all(answer.applied for answer in engine.runs.move(steps))
        rows = [left(step, row) for step, row in zip(steps, rows, strict=True)]
    assert engine.runs.read([row.key for row in rows]) == {row.key: row for row in rows}

    moves = [on(row, move) for move, row in zip(MOVES, rows, strict=True)]
    answers = engine.runs.move(moves)

    stored = engine.runs.read([row.key for row in rows])
    for move, row, answer in zip(moves, rows, answers, strict=True):
        assert not answer.failed
        if permits(move, row):
            assert answer.applied
            assert stored.get(row.key) == after(move, row)
            if isinstance(move, Start):
                assert answer.run == after(move, row)
        else:
            assert answer.applied == repeats(move, row)
            assert answer.run == stored[row.key] == row


def on(row: Run, move: Move) -> Move:
    """Return the move as tried on a row; a wait is for the attempt that the row is at."""
    if isinstance(move, Wait):
        return replace(move, key=row.key, attempt=max(row.attempt, 1))
    return replace(move, key=row.key)


def left(move: Move, row: Run) -> Run:
    """Return the row as a move leaves it that takes no row away."""
    run = after(move, row)
    assert run is not None, "these ways lead to rows"
    return run


def repeats(move: Move, row: Run) -> bool:
    """Say whether a refused move is by the very token that the row already names."""
    match move:
        case Start(owner=owner):
            return row.held_by(owner)
        case Finish(owner=owner):
            return row.finished_by == owner
        case _:
            return False
