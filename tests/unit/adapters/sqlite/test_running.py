"""What is kept in memory of running runs is what their rows say, whatever was taken back."""

import pytest

from punctual.adapters.sqlite import run_store
from punctual.adapters.sqlite.engine import SqliteEngine
from punctual.core.identity import RunKey
from punctual.core.runs import Finish, RequestCancel, Run, RunState, Start
from tests.support.builders import MINUTE, SECOND, a_run, an_ending
from tests.support.clock import NINE


def start_of(run: Run, owner: str = "a") -> Start:
    return Start(key=run.key, owner=owner, now=NINE, lease_until=NINE + MINUTE)


def finish_of(run: Run, owner: str = "a") -> Finish:
    return Finish(key=run.key, owner=owner, ending=an_ending(), scheduled_at=run.scheduled_at)


def row_of(engine: SqliteEngine, key: RunKey) -> Run:
    """Return a run as its row says, read through a connection of its own."""
    return engine.runs.read([key])[key]


@pytest.fixture
def run(engine: SqliteEngine) -> Run:
    """A run that waits for its start."""
    queued = a_run()
    engine.runs.insert([queued])
    return queued


def test_a_start_that_was_taken_back_is_not_remembered(engine: SqliteEngine, run: Run) -> None:
    def fails() -> None:
        engine.runs.move([start_of(run, "taken back")])
        raise LookupError

    with pytest.raises(LookupError):
        engine.transact(fails)

    assert engine.runs.move([start_of(run)])[0].applied
    assert row_of(engine, run.key).held_by("a")


def test_an_end_that_was_taken_back_leaves_the_run_running(engine: SqliteEngine, run: Run) -> None:
    engine.runs.move([start_of(run)])

    def fails() -> None:
        assert engine.runs.move([finish_of(run)])[0].applied
        raise LookupError

    with pytest.raises(LookupError):
        engine.transact(fails)

    assert engine.runs.move([finish_of(run)])[0].applied
    assert row_of(engine, run.key).state is RunState.SUCCEEDED


def test_of_several_moves_in_one_commit_the_last_is_remembered(
    engine: SqliteEngine, run: Run
) -> None:
    engine.transact(lambda: [engine.runs.move([move]) for move in (start_of(run), finish_of(run))])

    (again,) = engine.runs.move([start_of(run, "b")])

    assert not again.applied
    assert again.run == row_of(engine, run.key)


def test_a_request_to_cancel_is_seen_by_the_move_after_it(engine: SqliteEngine, run: Run) -> None:
    engine.runs.move([start_of(run)])
    engine.runs.move([RequestCancel(key=run.key, at=NINE)])

    (ended,) = engine.runs.move([finish_of(run)])

    assert ended.run == row_of(engine, run.key)
    assert ended.run is not None
    assert ended.run.cancel_requested_at == NINE


def test_runs_beyond_those_that_are_remembered_are_read_again(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_store, "REMEMBERED_MAX", 2)
    runs = [a_run(NINE + number * SECOND) for number in range(5)]
    engine.runs.insert(runs)
    engine.runs.move([start_of(run) for run in runs])

    assert len(engine.runs._running) == 2
    assert all(moved.applied for moved in engine.runs.move([finish_of(run) for run in runs]))
    assert not engine.runs._running
