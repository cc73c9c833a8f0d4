"""What has expired is deleted, a bounded part of it at a time, and nothing else."""

from dataclasses import replace
from datetime import datetime

import pytest

from punctual.adapters.sqlite import sweep as module
from punctual.adapters.sqlite.engine import SqliteEngine
from punctual.core.jobs import TOMBSTONE_KEPT
from punctual.core.runs import HISTORY_KEPT, Cancel, Run, RunState
from tests.support.builders import (
    DAY,
    MINUTE,
    TICK,
    a_content,
    a_job,
    a_run,
    a_stretch,
    a_tombstone,
    a_watch_row,
    an_ending,
)
from tests.support.clock import NINE


def rows(engine: SqliteEngine, table: str) -> int:
    ((count,),) = engine._database.select(
        f"SELECT json_group_array(json_array(n)) FROM (SELECT count(*) AS n FROM {table})"
    )
    return int(count)


def cancel(engine: SqliteEngine, runs: list[Run], *, at: datetime = NINE) -> None:
    engine.runs.insert(runs)
    ending = an_ending(RunState.CANCELLED, at=at)
    moves = [Cancel(key=run.key, ending=ending, scheduled_at=run.scheduled_at) for run in runs]
    assert all(answer.applied for answer in engine.runs.move(moves))


def test_each_thing_goes_when_its_time_has_come(engine: SqliteEngine) -> None:
    alive, dead = a_job("alive"), a_job("dead")
    for job in (alive, dead):
        engine.jobs.put_content(job.key, job.content, a_content())
        engine.jobs.create(job)
    engine.jobs.change(a_tombstone(dead, at=NINE), seen=dead)
    cancel(engine, [a_run()])
    engine.runs.insert([a_run(NINE + MINUTE)])
    engine.runs.put_stretches([(alive.key, a_stretch(NINE - DAY, count=2))])
    engine.watch_list.add([a_watch_row()])
    present = {"runs": 2, "stretches": 1, "jobs": 2, "contents": 2, "watch_rows": 1}

    for due, table in (
        (NINE + HISTORY_KEPT, "runs"),
        (NINE + TOMBSTONE_KEPT, "jobs"),
    ):
        engine.sweep(due - TICK)
        assert {name: rows(engine, name) for name in present} == present

        engine.sweep(due)

        present[table] -= 1
        present["stretches"] = 0
        present["contents"] = present["jobs"]
        assert {name: rows(engine, name) for name in present} == present
        assert engine.sweep(due) == 0

    engine.sweep(NINE + 10_000 * DAY)
    assert {name: rows(engine, name) for name in present} == present, "what is open stays"
    assert engine.jobs.read([alive.key, dead.key]) == {alive.key: alive}


def test_a_sweep_takes_bounded_bites_and_goes_on_the_next_time(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BITE", 4)
    monkeypatch.setattr(module, "BITES_MAX", 3)
    cancel(engine, [a_run(NINE + minute * MINUTE) for minute in range(17)])
    bites: list[int] = []
    engine._database._writer.set_trace_callback(
        lambda sql: bites.append(1) if sql == "COMMIT" else None
    )

    late = NINE + HISTORY_KEPT + DAY
    assert engine.sweep(late) == 12
    assert len(bites) == 3
    assert engine.sweep(late) == 5
    assert rows(engine, "runs") == 0


def test_what_was_swept_can_be_made_again(engine: SqliteEngine) -> None:
    run = a_run()
    cancel(engine, [run])
    engine.sweep(NINE + HISTORY_KEPT)

    assert engine.runs.insert([replace(run, schedule_revision=2)]) == [True]

    assert engine.runs.read([run.key]) == {run.key: replace(run, schedule_revision=2)}
