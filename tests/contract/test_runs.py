"""Rows of runs: inserted where there is none, read until their time is up, listed by name."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from punctual.core.identity import RunKey
from punctual.core.jobs import Delivery, Lane
from punctual.core.runs import (
    HISTORY_KEPT,
    Cancel,
    Finish,
    Move,
    Retry,
    Run,
    RunState,
    Start,
    Trigger,
)
from tests.support.builders import (
    HOUR,
    MINUTE,
    SECOND,
    TENANT,
    TICK,
    a_failure,
    a_job_key,
    a_run,
    a_run_key,
    an_ending,
)
from tests.support.clock import NINE
from tests.support.engines import Engine

NEWER: dict[str, Any] = {
    "schedule_revision": 3,
    "max_attempts": 1,
    "delivery": Delivery.AT_MOST_ONCE,
}


def stored(engine: Engine, key: RunKey) -> Run | None:
    return engine.runs.read([key]).get(key)


def start(run: Run, *, at: datetime = NINE) -> Start:
    return Start(key=run.key, owner="a", now=at, lease_until=at + MINUTE)


def finish(run: Run, *, at: datetime = NINE + SECOND) -> Finish:
    return Finish(key=run.key, owner="a", ending=an_ending(at=at), scheduled_at=run.scheduled_at)


def test_runs_are_read_as_they_were_inserted(engine: Engine) -> None:
    half_past = NINE + timedelta(milliseconds=500)
    runs = [
        a_run(),
        a_run(half_past),
        a_run(
            key=a_run_key(name="m.0a1b2c3d4e5f"),
            trigger=Trigger.MANUAL,
            delivery=Delivery.AT_MOST_ONCE,
            lane=Lane.SLOW,
            max_attempts=1,
            schedule_revision=7,
        ),
        a_run(key=a_run_key(name="m.1"), trigger=Trigger.MANUAL, content="run-0a1b"),
        a_run(key=a_run_key(job_id="a_b-c", name="b.1.20261201T090000Z"), trigger=Trigger.BACKFILL),
        a_run(key=a_run_key(tenant="Bänk & Söhne", incarnation=12), trigger=Trigger.REPLAY),
    ]

    assert engine.runs.insert(runs) == [True] * len(runs)

    assert engine.runs.read([run.key for run in runs]) == {run.key: run for run in runs}


def test_missing_runs_are_left_out(engine: Engine) -> None:
    run = a_run()
    engine.runs.insert([run])
    others = [
        a_run_key(NINE + MINUTE),
        a_run_key(incarnation=2),
        a_run_key(job_id="other"),
        a_run_key(tenant="other"),
    ]

    assert engine.runs.read([*others, run.key]) == {run.key: run}
    assert engine.runs.read([]) == {}


@pytest.mark.parametrize(
    "moves",
    [
        [start(a_run())],
        [start(a_run()), Retry(key=a_run().key, owner="a", failure=a_failure())],
        [start(a_run()), finish(a_run())],
        [Cancel(key=a_run().key, ending=an_ending(RunState.CANCELLED), scheduled_at=NINE)],
    ],
    ids=["running", "retrying", "succeeded", "cancelled"],
)
def test_a_run_that_was_taken_up_is_not_inserted_again(
    engine: Engine, moves: Sequence[Move]
) -> None:
    run = a_run()
    engine.runs.insert([run])
    for move in moves:
        assert engine.runs.move([move])[0].applied
    standing = stored(engine, run.key)

    assert engine.runs.insert([run]) == [True]
    assert engine.runs.insert([replace(run, **NEWER)]) == [True]

    assert stored(engine, run.key) == standing


def test_a_queued_run_of_an_older_schedule_revision_becomes_the_newer_ones(engine: Engine) -> None:
    old = a_run(schedule_revision=2)
    engine.runs.insert([old])
    new = replace(old, lane=Lane.SLOW, **NEWER)

    assert engine.runs.insert([new]) == [True]
    assert stored(engine, old.key) == new

    assert engine.runs.insert([old]) == [True]
    assert engine.runs.insert([replace(new, max_attempts=9)]) == [True]
    assert stored(engine, old.key) == new, "neither an older nor an equal revision changes it"


def test_a_revised_run_has_the_attempts_of_its_new_revision(engine: Engine) -> None:
    """Pinned to one attempt, it is not taken over once that died."""
    run = a_run(max_attempts=3)
    engine.runs.insert([run])
    engine.runs.insert([replace(run, **NEWER)])
    assert engine.runs.move([start(run)])[0].applied

    assert not engine.runs.move([replace(start(run, at=NINE + HOUR), owner="b")])[0].applied


def test_each_run_of_a_batch_is_inserted_on_its_own(engine: Engine) -> None:
    old = [a_run(NINE + n * MINUTE) for n in range(0, 60, 3)]
    engine.runs.insert(old)
    engine.runs.move([start(run) for run in old[::2]])
    started = engine.runs.read([run.key for run in old[::2]])

    runs = [a_run(NINE + n * MINUTE, **NEWER) for n in range(60)]
    assert engine.runs.insert(runs) == [True] * 60

    expected = {run.key: run for run in runs} | dict(started)
    assert engine.runs.read(list(expected)) == expected
    assert engine.runs.insert([]) == []


def test_a_run_can_be_read_for_30_days_after_it_ended(engine: Engine) -> None:
    run = a_run()
    engine.runs.insert([run])
    engine.runs.move([start(run)])
    engine.runs.move([finish(run)])
    ended = stored(engine, run.key)
    assert ended is not None

    engine.clock.set(NINE + SECOND + HISTORY_KEPT - TICK)
    assert stored(engine, run.key) == ended
    assert engine.runs.list(run.key.job, incarnation=1, before=None, limit=9) == [ended]

    engine.clock.advance(TICK)
    assert stored(engine, run.key) is None
    assert engine.runs.list(run.key.job, incarnation=1, before=None, limit=9) == []
    (answer,) = engine.runs.move([start(run)])
    assert (answer.applied, answer.run, answer.failed) == (False, None, False)


def test_a_run_that_ended_before_its_slot_is_kept_from_the_slot_on(engine: Engine) -> None:
    """A coming run was cancelled: whoever looks for it at its slot finds why it did not run."""
    slot = NINE + 10 * MINUTE
    run = a_run(slot)
    engine.runs.insert([run])
    engine.runs.move(
        [Cancel(key=run.key, ending=an_ending(RunState.CANCELLED, at=NINE), scheduled_at=slot)]
    )

    engine.clock.set(slot + HISTORY_KEPT - TICK)

    assert stored(engine, run.key) is not None


def test_an_open_run_never_expires(engine: Engine) -> None:
    runs = [a_run(), a_run(NINE + MINUTE)]
    engine.runs.insert(runs)
    engine.runs.move([start(runs[0])])

    engine.clock.advance(10 * HISTORY_KEPT)

    assert set(engine.runs.read([run.key for run in runs])) == {run.key for run in runs}


def test_an_insert_says_that_there_is_a_row_only_where_one_can_be_read(engine: Engine) -> None:
    """The row that is in the way is past its time, whether or not it has been deleted yet."""
    run = a_run()
    engine.runs.insert([run])
    engine.runs.move([start(run)])
    engine.runs.move([finish(run)])
    engine.clock.advance(2 * HISTORY_KEPT)

    (is_there,) = engine.runs.insert([run])

    assert stored(engine, run.key) == (run if is_there else None)


def names(engine: Engine, *, before: str | None = None, limit: int = 100) -> list[str]:
    runs = engine.runs.list(a_job_key(), incarnation=1, before=before, limit=limit)
    return [run.key.name for run in runs]


def test_a_jobs_runs_are_listed_latest_first_and_page_by_page(engine: Engine) -> None:
    runs = [a_run(NINE + n * HOUR) for n in range(7)]
    manual = a_run(key=a_run_key(name="m.0a1b"), trigger=Trigger.MANUAL)
    engine.runs.insert([*runs, manual])
    engine.runs.insert(
        [
            a_run(key=a_run_key(incarnation=11)),
            a_run(key=a_run_key(job_id="report2")),
            a_run(key=a_run_key(tenant=TENANT + "2")),
        ]
    )
    expected = ["m.0a1b", *(run.key.name for run in reversed(runs))]

    assert names(engine) == expected
    for limit in (1, 2, 3, 8):
        found: list[str] = []
        while page := names(engine, before=found[-1] if found else None, limit=limit):
            assert len(page) == limit or len(found) + len(page) == 8
            found += page
            assert len(found) <= 8
        assert found == expected
    assert engine.runs.list(a_job_key("none"), incarnation=1, before=None, limit=9) == []


def test_a_list_begins_with_the_last_name_before_one_bound_and_ends_with_the_other(
    engine: Engine,
) -> None:
    slots = [a_run(NINE + n * HOUR) for n in range(3)]
    manual = [a_run(key=a_run_key(name=f"m.{n}"), trigger=Trigger.MANUAL) for n in range(3)]
    engine.runs.insert([*slots, *manual])

    def listed(since: str, before: str) -> list[str]:
        page = engine.runs.list(a_job_key(), incarnation=1, since=since, before=before, limit=100)
        return [run.key.name for run in page]

    assert listed("", ":") == [run.key.name for run in reversed(slots)]
    assert listed("m.", "m.:") == ["m.2", "m.1", "m.0"]
    assert listed("m.1", "m.2") == ["m.1"]
    assert listed("m.1", "m.1") == []
    assert listed("m.2", "m.1") == []


def test_a_page_is_full_though_runs_among_it_have_expired(engine: Engine) -> None:
    runs = [a_run(NINE + n * MINUTE) for n in range(20)]
    engine.runs.insert(runs)
    gone = runs[5:19]
    engine.runs.move([start(run) for run in gone])
    engine.runs.move([finish(run) for run in gone])
    engine.clock.advance(2 * HISTORY_KEPT)

    left = [run.key.name for run in (runs[19], *reversed(runs[:5]))]
    assert names(engine, limit=4) == left[:4]
    assert names(engine, before=left[3], limit=4) == left[4:]
