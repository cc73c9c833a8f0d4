"""Every move over every kind of row does what the core says, in each engine's own words.

Rows are brought to their states by moves alone, so that no test of a state is about one that no
store can hold. All rows of one state, and one move for each of them, go through shared requests.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import product
from typing import Any

import pytest

from punctual.core.calls import CallError
from punctual.core.jobs import Delivery, Lane
from punctual.core.runs import (
    Cancel,
    Ending,
    Failure,
    Finish,
    GiveUp,
    Hold,
    Move,
    Reap,
    RequestCancel,
    Result,
    Retry,
    Run,
    RunState,
    Skip,
    Start,
    Void,
    VoidQueued,
    Wait,
    after,
    permits,
)
from tests.contract.engines import ATOMIC, MINISTACK
from tests.support.builders import MINUTE, SECOND, TICK, a_failure, a_run, a_run_key, an_ending
from tests.support.clock import NINE
from tests.support.engines import Engine

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


def hold(
    owner: str = "a", *, lease_until: datetime = NINE + 9 * MINUTE, is_first: bool = True
) -> Hold:
    return Hold(
        key=ANY_KEY,
        owner=owner,
        attempt=1,
        started_at=NINE,
        lease_until=lease_until,
        heartbeat=MINUTE,
        is_first=is_first,
    )


def guessing(**other: Any) -> Start:
    """Return a start that takes the row for one as it was handed over, or for one of `other`."""
    return replace(start(), now=NOW, handed_over=a_run(**{"max_attempts": 2} | other))


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
    "heartbeat": (start(lease_seconds=5), hold(lease_until=NOW)),
    "heartbeat of a later attempt": (start(), retry(), start(at_second=30), hold()),
    "silent": (start(lease_seconds=5), hold(lease_until=NINE + 9 * SECOND)),
    "silent and taken over": (
        start("z", lease_seconds=5),
        hold("z", lease_until=NINE + 9 * SECOND),
        start(at_second=30),
    ),
    "succeeded": (start(), finish(RunState.SUCCEEDED)),
    "failed": (start(), retry(), start(at_second=30), finish(RunState.FAILED)),
    "cancelled unstarted": (
        Cancel(key=ANY_KEY, ending=an_ending(RunState.CANCELLED), scheduled_at=NINE),
    ),
    "waited, then missed": (start(), wait(minutes=0), start(at_second=1), finish(RunState.MISSED)),
}

HOLDS: Sequence[Move] = [
    hold(owner, lease_until=until, is_first=is_first)
    for owner in ("a", "b")
    for until in (NINE + SECOND, NOW, NINE + 9 * MINUTE, NINE + 99 * MINUTE)
    for is_first in (True, False)
]
"""Such as end the lease sooner, at the same instant, and later; each under either guess."""

MOVES: Sequence[Move] = (
    *(
        move
        for owner in ("a", "b")
        for move in (
            replace(start(owner), now=NOW),
            finish(RunState.TIMED_OUT, owner),
            retry(owner, after_seconds=77),
            wait(owner, minutes=77),
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
    *HOLDS,
    guessing(),
    replace(guessing(), owner="b"),
    guessing(schedule_revision=2),
    guessing(max_attempts=3),
    guessing(delivery=Delivery.AT_MOST_ONCE),
    guessing(lane=Lane.SLOW),
    VoidQueued(key=ANY_KEY, schedule_revision=1),
    VoidQueued(key=ANY_KEY, schedule_revision=2),
    Cancel(key=ANY_KEY, ending=an_ending(RunState.CANCELLED), scheduled_at=NINE),
    Skip(key=ANY_KEY, ending=an_ending(RunState.SKIPPED), scheduled_at=NINE),
    RequestCancel(key=ANY_KEY, at=NOW),
    RequestCancel(key=ANY_KEY, at=NOW, reason="overlap"),
    Reap(key=ANY_KEY, now=NOW, ending=an_ending(RunState.CANCELLED), scheduled_at=NINE),
)

WAYS_FOR_MOTO = (
    "running, its lease ends this instant",
    "abandoned",
    "abandoned with no attempt left",
    "heartbeat",
    "retry due this instant",
    "waited",
    "asked to stop and abandoned",
    "succeeded",
)
"""moto is slow, and only shows that each write says the same as a request of its own."""

CASES = [
    *(pytest.param("moto", way) for way in WAYS_FOR_MOTO),
    *(
        pytest.param(*engine.values, way, marks=engine.marks)
        for engine in (pytest.param("memory"), pytest.param("file"), MINISTACK)
        for way in WAYS
    ),
]


@pytest.mark.parametrize(("engine", "way"), CASES, indirect=["engine"])
def test_a_move_happens_when_the_core_permits_it_and_leaves_what_the_core_says(
    engine: Engine, way: str
) -> None:
    rows = [a_run(NINE + n * SECOND, max_attempts=2) for n in range(len(MOVES))]
    assert all(engine.runs.insert(rows))
    for step in WAYS[way]:
        steps = [on(row, step) for row in rows]
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


@pytest.mark.parametrize("engine", ATOMIC, indirect=True)
def test_a_start_leaves_the_row_that_is_there_whatever_it_takes_it_for(engine: Engine) -> None:
    """Each kind of row under each guess, as inserted and as a later revision of the schedule."""
    kinds: list[dict[str, Any]] = [
        {"schedule_revision": revision, "max_attempts": attempts, "delivery": to, "lane": lane}
        for revision in (2, 3)
        for attempts in (1, 2)
        for to in Delivery
        for lane in Lane
    ]
    pairs = [*product(kinds, kinds)]
    rows = [a_run(NINE + n * SECOND, **kind) for n, (kind, _) in enumerate(pairs)]
    guesses = [a_run(row.scheduled_at, **kind) for row, (_, kind) in zip(rows, pairs, strict=True)]
    older = [
        a_run(run.scheduled_at, delivery=Delivery.AT_MOST_ONCE, lane=Lane.SLOW) for run in rows[::2]
    ]
    assert all(engine.runs.insert(older))
    assert all(engine.runs.insert(rows))

    starts = [replace(start(), key=guess.key, handed_over=guess) for guess in guesses]
    answers = engine.runs.move(starts)

    started = [left(move, row) for move, row in zip(starts, rows, strict=True)]
    assert [answer.run for answer in answers] == started
    assert all(answer.applied for answer in answers)
    assert engine.runs.read([row.key for row in rows]) == {run.key: run for run in started}


def test_where_there_is_no_row_only_a_void_is_as_if_done(engine: Engine) -> None:
    moves = [replace(move, key=a_run_key(NINE + n * SECOND)) for n, move in enumerate(MOVES)]

    answers = engine.runs.move(moves)

    for move, answer in zip(moves, answers, strict=True):
        assert (answer.run, answer.failed) == (None, False)
        assert answer.applied == isinstance(move, Void | VoidQueued)
    assert engine.runs.read([move.key for move in moves]) == {}
    assert engine.runs.move([]) == []


def test_a_row_of_another_life_job_or_tenant_is_not_moved(engine: Engine) -> None:
    run = a_run()
    engine.runs.insert([run])
    others = [
        a_run_key(incarnation=2),
        a_run_key(job_id="report-2"),
        a_run_key(tenant="acme-2"),
        a_run_key(NINE + TICK),
    ]

    answers = engine.runs.move([replace(start(), key=key) for key in others])

    assert [(answer.applied, answer.run) for answer in answers] == [(False, None)] * 4
    assert engine.runs.read([run.key]) == {run.key: run}


def test_what_an_outcome_carries_is_kept_to_the_last_byte(engine: Engine) -> None:
    error = CallError(type="http_status", message='the target said "nö" and \n left')
    results = [
        Result(status_code=200, body=bytes(range(256)), body_bytes=256),
        Result(status_code=204),
        Result(
            status_code=503,
            content_type="text/plain; charset=utf-8",
            body="ä€😀".encode() + b"\x00\xff",
            body_bytes=1_000_001,
            stored="0123456789abcdef" * 2,
            truncated=True,
        ),
    ]
    endings = [
        Ending(state=RunState.FAILED, at=NINE, reason="it's over", result=result, error=error)
        for result in results
    ]
    endings += [Ending(state=RunState.CANCELLED, at=NINE)]
    rows = [a_run(NINE + n * SECOND) for n in range(len(endings))]
    engine.runs.insert(rows)
    engine.runs.move([replace(start("ö-1/+=_"), key=row.key) for row in rows])

    engine.runs.move(
        [
            Finish(key=row.key, owner="ö-1/+=_", ending=ending, scheduled_at=row.scheduled_at)
            for row, ending in zip(rows, endings, strict=True)
        ]
    )

    for row, ending in zip(rows, endings, strict=True):
        stored = engine.runs.read([row.key])[row.key]
        assert stored.finished_by == "ö-1/+=_"
        assert (stored.state, stored.finished_at, stored.reason, stored.result, stored.error) == (
            ending.state,
            ending.at,
            ending.reason,
            ending.result,
            ending.error,
        )


def test_every_failed_attempt_is_kept(engine: Engine) -> None:
    row = a_run(max_attempts=20)
    engine.runs.insert([row])
    failures = []
    for attempt in range(1, 20):
        at = NINE + attempt * SECOND
        engine.runs.move([replace(start(f"owner-{attempt}", at_second=attempt), key=row.key)])
        failures.append(
            Failure(
                attempt=attempt,
                finished_at=at + TICK,
                error=CallError(type="timeout", message=f"no answer, try {attempt}"),
                retry_at=at + 2 * TICK,
            )
        )
        (answer,) = engine.runs.move(
            [Retry(key=row.key, owner=f"owner-{attempt}", failure=failures[-1])]
        )
        assert answer.applied

    stored = engine.runs.read([row.key])[row.key]

    assert stored.failures == tuple(failures)
    assert stored.starts == tuple(NINE + attempt * SECOND for attempt in range(1, 20))
    assert stored.attempt == 19


@pytest.mark.parametrize("engine", ATOMIC, indirect=True)
def test_each_move_of_a_batch_stands_alone_and_is_answered_in_its_place(engine: Engine) -> None:
    rows = [a_run(NINE + n * SECOND) for n in range(60)]
    engine.runs.insert(rows)
    held = rows[::3]
    engine.runs.move([replace(start("other"), key=row.key) for row in held])

    moves: list[Move] = []
    for n, row in enumerate(rows):
        moves.append(
            Void(key=row.key, owner="other") if n % 6 == 0 else replace(start(), key=row.key)
        )
    answers = engine.runs.move(moves)

    stored = engine.runs.read([row.key for row in rows])
    for n, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        if n % 6 == 0:
            assert answer.applied
            assert row.key not in stored
        elif n % 3 == 0:
            assert not answer.applied
            assert answer.run == stored[row.key]
            assert stored[row.key].held_by("other")
        else:
            assert answer.run == stored[row.key]
            assert stored[row.key].held_by("a")


def on(row: Run, move: Move) -> Move:
    """Return the move as tried on a row.

    A wait or a hold is for the attempt that it is at; what a start guesses is of that row.
    """
    if isinstance(move, Hold):
        started_at = row.starts[-1] if row.starts else NINE
        return replace(move, key=row.key, attempt=max(row.attempt, 1), started_at=started_at)
    if isinstance(move, Wait):
        return replace(move, key=row.key, attempt=max(row.attempt, 1))
    if isinstance(move, Start) and move.handed_over is not None:
        guess = replace(move.handed_over, key=row.key, scheduled_at=row.scheduled_at)
        return replace(move, key=row.key, handed_over=guess)
    return replace(move, key=row.key)


def left(move: Move, row: Run) -> Run:
    """Return the row as a move leaves it that takes no row away."""
    run = after(move, row)
    assert run is not None, "these ways lead to rows"
    return run


def repeats(move: Move, row: Run) -> bool:
    """Say whether a refused move is by the very token that the row already names.

    A hold that is refused there would have made the lease shorter.
    """
    match move:
        case Start(owner=owner):
            return row.held_by(owner)
        case Finish(owner=owner):
            return row.finished_by == owner
        case Hold(owner=owner):
            return row.held_by(owner)
        case _:
            return False
