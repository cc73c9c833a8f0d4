"""Cancelling a run that moves on meanwhile, and lists that read no further than they must."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from punctual.core.errors import Conflict, RunNotFound, StoreUnavailable
from punctual.core.jobs import CatchUp, Policy
from punctual.core.runs import (
    Cancel,
    Ending,
    Finish,
    Move,
    RequestCancel,
    Retry,
    RunState,
    Start,
    VoidQueued,
)
from punctual.core.strands import STRANDS
from punctual.ports import Moved, Results, RunStore
from punctual.services.runs import (
    COMING_LISTED,
    FILTERED_AT_ONCE,
    PAGES_AT_ONCE,
    TRIES,
    Runs,
    Stage,
)
from tests.support.builders import (
    HOUR,
    MINUTE,
    SECOND,
    a_failure,
    a_job,
    a_job_key,
    a_run,
    a_run_key,
    a_stretch,
)
from tests.support.clock import NINE, FakeClock
from tests.support.embedded_engine import memory_engine
from tests.support.engines import Engine
from tests.support.keeping import MemoryResults

READ_MAX = FILTERED_AT_ONCE * PAGES_AT_ONCE
KEY = a_run_key()
START = Start(key=KEY, owner="first", now=NINE, lease_until=NINE + MINUTE)


class Meddled:
    """A run store in which something happens just before a move, once for each thing given."""

    def __init__(self, runs: RunStore, *happenings: Callable[[], object]) -> None:
        self._runs = runs
        self._happenings = list(happenings)
        self.moves: list[Move] = []

    def move(self, moves: Sequence[Move]) -> Sequence[Moved]:
        if self._happenings:
            self._happenings.pop(0)()
        self.moves += moves
        return self._runs.move(moves)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runs, name)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with memory_engine(FakeClock(), tmp_path) as engine:
        engine.jobs.create(a_job())
        yield engine


def runs_over(engine: Engine, store: Any = None, *, results: Results | None = None) -> Runs:
    return Runs(
        jobs=engine.jobs,
        runs=store or engine.runs,
        results=results or MemoryResults(),
        logs=engine.logs,
        clock=engine.clock,
    )


def end_runs(engine: Engine, slots: Sequence[datetime], state: RunState) -> None:
    """Bring the runs of some slots into being, with an outcome."""
    engine.runs.insert([a_run(slot) for slot in slots])
    ending = Ending(state=state, at=NINE)
    engine.runs.move(
        [Cancel(key=a_run_key(slot), ending=ending, scheduled_at=slot) for slot in slots]
    )


def test_a_run_that_starts_while_it_is_cancelled_is_asked_to_stop(engine: Engine) -> None:
    engine.runs.insert([a_run()])
    store = Meddled(engine.runs, lambda: engine.runs.move([START]))

    seen = runs_over(engine, store).cancel(KEY)

    assert seen.stage is Stage.CANCELLING
    assert [type(move) for move in store.moves] == [Cancel, RequestCancel]


def test_a_run_that_fails_while_it_is_cancelled_is_not_tried_again(engine: Engine) -> None:
    """The retry came first; the run waits, and so it ends at once."""
    engine.runs.insert([a_run()])
    engine.runs.move([START])
    retry = Retry(key=KEY, owner="first", failure=a_failure())
    store = Meddled(engine.runs, lambda: engine.runs.move([retry]))

    seen = runs_over(engine, store).cancel(KEY)

    assert (seen.stage, seen.run.cancel_requested_at) == (Stage.CANCELLED, None)
    assert [type(move) for move in store.moves] == [RequestCancel, Cancel]


def test_a_retry_after_the_request_to_stop_is_cancelled_by_the_next_one(engine: Engine) -> None:
    engine.runs.insert([a_run()])
    engine.runs.move([START])
    runs = runs_over(engine)
    assert runs.cancel(KEY).stage is Stage.CANCELLING
    engine.runs.move([Retry(key=KEY, owner="first", failure=a_failure())])

    assert runs.cancel(KEY).stage is Stage.CANCELLED


def test_a_run_that_ends_while_it_is_cancelled_keeps_its_outcome(engine: Engine) -> None:
    engine.runs.insert([a_run()])
    engine.runs.move([START])
    ending = Ending(state=RunState.SUCCEEDED, at=NINE)
    finish = Finish(key=KEY, owner="first", ending=ending, scheduled_at=NINE)
    store = Meddled(engine.runs, lambda: engine.runs.move([finish]))

    with pytest.raises(Conflict, match="succeeded"):
        runs_over(engine, store).cancel(KEY)

    assert runs_over(engine).get(KEY).stage is Stage.SUCCEEDED


def test_a_run_that_is_taken_back_while_it_is_cancelled_is_gone(engine: Engine) -> None:
    engine.runs.insert([a_run()])
    void = VoidQueued(key=KEY, schedule_revision=1)
    store = Meddled(engine.runs, lambda: engine.runs.move([void]))

    with pytest.raises(RunNotFound):
        runs_over(engine, store).cancel(KEY)


def test_a_run_whose_slot_was_left_out_is_not_cancelled_beside_that(tmp_path: Path) -> None:
    """Its row came late, from a visit that stood still; one slot has one record."""
    with memory_engine(FakeClock(), tmp_path) as engine:
        assert isinstance(engine.clock, FakeClock)
        job = a_job(policy=Policy(catch_up=CatchUp.NONE))
        engine.jobs.create(job)
        engine.runs.put_stretches([(job.key, a_stretch(NINE))])
        engine.runs.insert([a_run()])
        engine.clock.advance(HOUR)

        with pytest.raises(Conflict, match="left out"):
            runs_over(engine).cancel(KEY)


def test_a_cancel_withdraws_what_is_only_announced_of_the_slot(tmp_path: Path) -> None:
    """Else the slot could be settled as left out beside its outcome."""
    with memory_engine(FakeClock(), tmp_path) as engine:
        assert isinstance(engine.clock, FakeClock)
        job = a_job(policy=Policy(catch_up=CatchUp.NONE))
        announced = (job.key, a_stretch(NINE, announced_by="visit"))
        engine.jobs.create(job)
        engine.runs.put_stretches([announced])
        engine.runs.insert([a_run()])
        engine.clock.advance(HOUR)

        assert runs_over(engine).list(job.key, limit=1).gaps == ()
        assert runs_over(engine).cancel(KEY).stage is Stage.CANCELLED
        assert engine.runs.settle_stretches([announced]) == [False]


def test_a_run_whose_executor_died_is_cancelled_at_once(engine: Engine) -> None:
    engine.runs.insert([a_run()])
    engine.runs.move([START])
    assert isinstance(engine.clock, FakeClock)
    engine.clock.set(NINE + 2 * MINUTE)

    seen = runs_over(engine).cancel(KEY)

    assert (seen.stage, seen.run.reason) == (Stage.CANCELLED, "cancelled")


def test_a_cancel_whose_answer_was_lost_counts_as_done(engine: Engine) -> None:
    """The store applied it, was asked again, and refuses its own doing."""
    engine.runs.insert([a_run()])

    class AppliedTwice(Meddled):
        def move(self, moves: Sequence[Move]) -> Sequence[Moved]:
            engine.runs.move(moves)
            return super().move(moves)

    assert runs_over(engine, AppliedTwice(engine.runs)).cancel(KEY).stage is Stage.CANCELLED


def test_a_cancel_without_an_answer_is_not_called_done(engine: Engine) -> None:
    engine.runs.insert([a_run()])

    class Silent(Meddled):
        def move(self, moves: Sequence[Move]) -> Sequence[Moved]:
            return [Moved(applied=False, run=None, failed=True) for _ in moves]

    with pytest.raises(StoreUnavailable):
        runs_over(engine, Silent(engine.runs)).cancel(KEY)


def test_a_cancel_gives_up_on_a_run_that_never_stands_still(engine: Engine) -> None:
    engine.runs.insert([a_run()])

    class Restless(Meddled):
        def move(self, moves: Sequence[Move]) -> Sequence[Moved]:
            self.moves += moves
            return [Moved(applied=False, run=None) for _ in moves]

    store = Restless(engine.runs)

    with pytest.raises(Conflict):
        runs_over(engine, store).cancel(KEY)

    assert len(store.moves) == TRIES


def test_a_row_comes_before_the_slot_that_it_is_of(engine: Engine) -> None:
    """A visit that died before its claim left rows of slots that are still the pointer's."""
    slot = NINE + MINUTE
    engine.runs.insert([a_run(slot)])

    items = runs_over(engine).list(a_job_key(), limit=100).items

    stages = [seen.stage for seen in items]
    assert stages == [Stage.SCHEDULED] * 9 + [Stage.QUEUED]
    assert len({seen.run.key for seen in items}) == 10


def test_a_list_that_a_filter_leaves_little_of_reads_so_far_and_goes_on_later(
    engine: Engine,
) -> None:
    """One failed run behind many that succeeded: every part is bounded, and none is lost."""
    old = [NINE - number * SECOND for number in range(1, 2 * READ_MAX - COMING_LISTED)]
    end_runs(engine, old[:-1], RunState.SUCCEEDED)
    end_runs(engine, old[-1:], RunState.FAILED)
    runs = runs_over(engine)
    parts, before, found = 0, None, []
    while True:
        part = runs.list(a_job_key(), stage=Stage.FAILED, before=before, limit=1)
        found += [seen.run.scheduled_at for seen in part.items]
        parts, before = parts + 1, part.before
        if before is None:
            break

    assert found == [old[-1]]
    assert parts == 2


def test_the_few_that_a_filter_leaves_are_found_behind_all_that_is_to_come(engine: Engine) -> None:
    """A job of a run each second has hundreds of rows ahead of the first that ended."""
    engine.runs.insert([a_run(NINE + number * SECOND) for number in range(250)])
    end_runs(engine, [NINE - SECOND, NINE - 2 * SECOND], RunState.SUCCEEDED)

    part = runs_over(engine).list(a_job_key(), stage=Stage.SUCCEEDED, limit=2)

    assert [seen.run.scheduled_at for seen in part.items] == [NINE - SECOND, NINE - 2 * SECOND]


def test_a_list_does_not_read_on_before_the_first_slot_it_wants(engine: Engine) -> None:
    slots = [NINE - number * MINUTE for number in range(200)]
    end_runs(engine, slots, RunState.SUCCEEDED)
    pages = 0

    class Counted(Meddled):
        def list(self, *args: Any, **options: Any) -> Any:
            nonlocal pages
            pages += 1
            return engine.runs.list(*args, **options)

    store = Counted(engine.runs)
    part = runs_over(engine, store).list(
        a_job_key(), since=NINE - timedelta(minutes=3), until=NINE, limit=10
    )

    assert [seen.run.scheduled_at for seen in part.items] == slots[1:4]
    assert (part.before, pages) == (None, len(STRANDS))
