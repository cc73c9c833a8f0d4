"""Many writers meet on one row: exactly one of them wins, every time."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier
from typing import TypeVar

import pytest

from punctual.core.dispatch import Claim
from punctual.core.jobs import Job, JobState
from punctual.core.runs import (
    Finish,
    Hold,
    Move,
    Reap,
    RequestCancel,
    Retry,
    Run,
    RunState,
    Start,
    Wait,
)
from tests.contract.engines import ATOMIC
from tests.support.builders import (
    HOUR,
    MINUTE,
    SECOND,
    a_failure,
    a_job,
    a_run,
    a_tombstone,
    an_ending,
)
from tests.support.clock import NINE
from tests.support.engines import Engine

pytestmark = pytest.mark.parametrize("engine", ATOMIC, indirect=True)

T = TypeVar("T")

WRITERS = 16
ROWS = 25
"""As many as share a request, so that whole batches meet."""


def all_at_once(work: Callable[[int], T], *, writers: int = WRITERS) -> list[T]:
    """Let every writer do its work at the same moment; return what each got."""
    barrier = Barrier(writers)

    def wait_and_work(writer: int) -> T:
        barrier.wait()
        return work(writer)

    with ThreadPoolExecutor(writers) as pool:
        return list(pool.map(wait_and_work, range(writers)))


def winners(engine: Engine, moves: Callable[[int], Sequence[Move]]) -> list[list[int]]:
    """Let every writer move the same rows; return for each row who says that it won."""
    moved = all_at_once(lambda writer: engine.runs.move(moves(writer)))
    assert not any(answer.failed for answers in moved for answer in answers)
    rows = len(moved[0])
    return [[w for w in range(WRITERS) if moved[w][row].applied] for row in range(rows)]


@pytest.fixture
def runs(engine: Engine) -> list[Run]:
    """Queued runs of the coming minutes."""
    runs = [a_run(NINE + minute * MINUTE) for minute in range(ROWS)]
    assert all(engine.runs.insert(runs))
    return runs


def start(run: Run, owner: str) -> Start:
    return Start(key=run.key, owner=owner, now=NINE, lease_until=NINE + MINUTE)


def test_a_queued_run_is_started_once(engine: Engine, runs: list[Run]) -> None:
    won = winners(engine, lambda writer: [start(run, f"w{writer}") for run in runs])

    assert [len(row) for row in won] == [1] * ROWS
    stored = engine.runs.read([run.key for run in runs])
    for run, (winner,) in zip(runs, won, strict=True):
        assert stored[run.key].held_by(f"w{winner}")
        assert stored[run.key].attempt == 1
        assert len(stored[run.key].starts) == 1


def test_an_abandoned_run_is_taken_over_once(engine: Engine, runs: list[Run]) -> None:
    engine.runs.move([start(run, "dead") for run in runs])
    late = NINE + MINUTE + SECOND

    won = winners(
        engine,
        lambda writer: [
            replace(start(run, f"w{writer}"), now=late, lease_until=late + MINUTE) for run in runs
        ],
    )

    assert [len(row) for row in won] == [1] * ROWS
    assert {run.attempt for run in engine.runs.read([r.key for r in runs]).values()} == {2}


def test_the_holder_finishes_or_a_takeover_fences_it_out(engine: Engine, runs: list[Run]) -> None:
    """The lease is over and the holder awake again: one of the two has the run, never both."""
    engine.runs.move([start(run, "holder") for run in runs])
    late = NINE + MINUTE + SECOND

    def move(writer: int) -> list[Move]:
        if writer == 0:
            return [
                Finish(key=run.key, owner="holder", ending=an_ending(), scheduled_at=NINE)
                for run in runs
            ]
        return [
            replace(start(run, f"w{writer}"), now=late, lease_until=late + MINUTE) for run in runs
        ]

    assert [len(row) for row in winners(engine, move)] == [1] * ROWS


def test_a_cancelled_run_is_finished_or_reaped(engine: Engine, runs: list[Run]) -> None:
    engine.runs.move([start(run, "holder") for run in runs])
    engine.runs.move([RequestCancel(key=run.key, at=NINE) for run in runs])
    ending = an_ending(RunState.CANCELLED)

    def move(writer: int) -> list[Move]:
        if writer == 0:
            return [
                Finish(key=run.key, owner="holder", ending=an_ending(), scheduled_at=NINE)
                for run in runs
            ]
        late = NINE + MINUTE + SECOND
        return [Reap(key=run.key, now=late, ending=ending, scheduled_at=NINE) for run in runs]

    won = winners(engine, move)

    assert [len(row) for row in won] == [1] * ROWS
    stored = engine.runs.read([run.key for run in runs])
    for run, (winner,) in zip(runs, won, strict=True):
        expected = RunState.SUCCEEDED if winner == 0 else RunState.CANCELLED
        assert stored[run.key].state is expected


def test_one_holder_ends_its_attempt_in_one_way(engine: Engine, runs: list[Run]) -> None:
    """Retry, wait and finish under the same token: the first to arrive stands, the others fail."""
    engine.runs.move([start(run, "holder") for run in runs])

    def move(writer: int) -> list[Move]:
        match writer % 3:
            case 0:
                failure = a_failure(after=writer * SECOND)
                return [Retry(key=run.key, owner="holder", failure=failure) for run in runs]
            case 1:
                at = NINE + writer * MINUTE
                return [
                    Wait(key=r.key, owner="holder", attempt=1, retry_at=at, reason="full")
                    for r in runs
                ]
            case _:
                ending = an_ending(at=NINE + writer * SECOND)
                return [
                    Finish(key=r.key, owner="holder", ending=ending, scheduled_at=NINE)
                    for r in runs
                ]

    won = winners(engine, move)

    stored = engine.runs.read([run.key for run in runs])
    for run, row in zip(runs, won, strict=True):
        # A finish that meets its own token in the outcome counts as applied: it is the same owner.
        kinds = {winner % 3 for winner in row}
        assert len(kinds) == 1
        assert len(row) == 1 or kinds == {2}
        assert stored[run.key].state.terminal == (kinds == {2})


def test_rows_are_inserted_once(engine: Engine) -> None:
    """Each visitor sees that there are rows, and a start that follows is not undone."""
    runs = [a_run(NINE + minute * MINUTE) for minute in range(ROWS)]

    def insert_and_start(writer: int) -> list[bool]:
        assert all(engine.runs.insert(runs))
        return [m.applied for m in engine.runs.move([start(r, f"w{writer}") for r in runs])]

    applied = all_at_once(insert_and_start)

    assert [sum(row) for row in zip(*applied, strict=True)] == [1] * ROWS
    assert {run.attempt for run in engine.runs.read([r.key for r in runs]).values()} == {1}


def test_the_newest_schedule_revision_stands_whatever_the_order(engine: Engine) -> None:
    runs = [a_run(NINE + minute * MINUTE) for minute in range(ROWS)]

    answers = all_at_once(
        lambda writer: engine.runs.insert(
            [replace(run, schedule_revision=writer + 1) for run in runs]
        )
    )

    assert all(all(answer) for answer in answers)
    stored = engine.runs.read([run.key for run in runs]).values()
    assert {run.schedule_revision for run in stored} == {WRITERS}


def test_a_pointer_is_moved_once(engine: Engine) -> None:
    jobs = [a_job(f"job-{number}") for number in range(ROWS)]
    assert [engine.jobs.create(job) for job in jobs] == [None] * ROWS

    held = all_at_once(lambda writer: engine.jobs.claim([a_claim(job, writer) for job in jobs]))

    assert [sum(row) for row in zip(*held, strict=True)] == [1] * ROWS
    for number, job in enumerate(engine.jobs.read([job.key for job in jobs]).values()):
        writer = next(w for w in range(WRITERS) if held[w][number])
        assert job.ordinal == writer + 1


def test_a_visit_and_a_change_do_not_both_move_a_pointer(engine: Engine) -> None:
    job = a_job()
    assert engine.jobs.create(job) is None

    def write(writer: int) -> bool:
        if writer % 2:
            return engine.jobs.claim([a_claim(job, writer)])[0]
        changed = replace(job, revision=2, name=f"by {writer}", next_slot=NINE + 9 * MINUTE)
        return engine.jobs.change(changed, seen=job)

    assert Counter(all_at_once(write)) == {True: 1, False: WRITERS - 1}


def test_a_job_is_created_once_over_nothing_and_over_a_tombstone(engine: Engine) -> None:
    job = a_job()
    answers = all_at_once(lambda writer: engine.jobs.create(replace(job, fingerprint=f"{writer}")))
    assert answers.count(None) == 1
    (standing,) = engine.jobs.read([job.key]).values()
    assert {answer for answer in answers if answer is not None} == {standing}

    tombstone = a_tombstone(standing, at=NINE + MINUTE)
    deletes = all_at_once(
        lambda writer: engine.jobs.change(
            replace(tombstone, updated_at=NINE + writer * SECOND), seen=standing
        )
    )
    assert deletes.count(True) == 1
    (tombstone,) = engine.jobs.read([job.key]).values()

    again = all_at_once(
        lambda writer: engine.jobs.create(
            replace(job, incarnation=2, revision=3, fingerprint=f"{writer}"), over=tombstone
        )
    )
    assert again.count(None) == 1


def a_hold(run: Run, writer: int, *, since: datetime, heartbeat: timedelta) -> Hold:
    """Return what a writer asks for: each a longer lease, and every other one a first hold."""
    return Hold(
        key=run.key,
        owner="holder",
        attempt=1,
        started_at=NINE,
        lease_until=since + writer * MINUTE,
        heartbeat=heartbeat,
        is_first=writer % 2 == 0,
    )


def test_heartbeats_do_not_bring_back_what_was_lost(engine: Engine, runs: list[Run]) -> None:
    """A heartbeat that arrives after the takeover moves nobody's lease."""
    engine.runs.move([start(run, "holder") for run in runs])
    late = NINE + MINUTE + SECOND
    engine.runs.move(
        [replace(start(run, "heir"), now=late, lease_until=late + MINUTE) for run in runs]
    )

    won = winners(
        engine,
        lambda writer: [a_hold(run, writer, since=NINE, heartbeat=MINUTE) for run in runs],
    )

    assert won == [[]] * ROWS
    stored = engine.runs.read([run.key for run in runs]).values()
    assert {run.lease_until for run in stored} == {late + MINUTE}


def test_of_holds_that_meet_the_longest_stands(engine: Engine, runs: list[Run]) -> None:
    """Whatever their order, and whatever each takes the row for: none is refused, none lost."""
    engine.runs.move([start(run, "holder") for run in runs])

    won = winners(
        engine,
        lambda writer: [a_hold(run, writer, since=NINE + HOUR, heartbeat=HOUR) for run in runs],
    )

    assert won == [list(range(WRITERS))] * ROWS
    stored = engine.runs.read([run.key for run in runs]).values()
    assert {run.lease_until for run in stored} == {NINE + HOUR + (WRITERS - 1) * MINUTE}


def a_claim(job: Job, writer: int) -> Claim:
    return Claim(
        key=job.key,
        expected_slot=job.next_slot or NINE,
        expected_revision=job.revision,
        expected_state=JobState.ACTIVE,
        next_slot=NINE + 30 * MINUTE,
        ordinal=writer + 1,
        state=JobState.ACTIVE,
        last_slot=None,
    )
