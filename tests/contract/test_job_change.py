"""Changing a job: only as it was seen. Deleting it leaves a tombstone."""

from dataclasses import replace
from typing import Any

import pytest

from punctual.core.jobs import Job, JobState
from tests.contract.jobs import FULL_JOB, due, stored
from tests.support.builders import DAY, MINUTE, a_job
from tests.support.clock import NINE
from tests.support.engines import Engine


def test_a_job_that_stands_as_it_was_seen_is_replaced(engine: Engine, job: Job) -> None:
    changed = replace(FULL_JOB, key=job.key)

    assert engine.jobs.change(changed, seen=job)

    assert stored(engine, job) == changed


def test_what_a_change_takes_away_is_gone(engine: Engine) -> None:
    full = replace(FULL_JOB, key=a_job().key)
    engine.jobs.create(full)
    bare = replace(a_job(), revision=18)

    assert engine.jobs.change(bare, seen=full)

    assert stored(engine, full) == bare


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"revision": 2},
        {"next_slot": NINE + 2 * MINUTE},
        {"next_slot": None},
        {"state": JobState.PAUSED},
    ],
)
def test_a_change_of_what_was_not_seen_is_refused(
    engine: Engine, job: Job, meanwhile: dict[str, Any]
) -> None:
    standing = replace(job, **meanwhile)
    assert engine.jobs.change(standing, seen=job)

    assert not engine.jobs.change(replace(job, name="late", revision=5), seen=job)

    assert stored(engine, job) == standing


def test_a_job_without_a_pointer_is_seen_as_such(engine: Engine, job: Job) -> None:
    ended = replace(job, state=JobState.ENDED, next_slot=None, last_slot=NINE)
    assert engine.jobs.change(ended, seen=job)
    again = replace(job, revision=2)
    assert not engine.jobs.change(again, seen=replace(ended, next_slot=NINE))

    assert engine.jobs.change(again, seen=ended)

    assert stored(engine, job) == again


def test_a_change_whose_answer_was_lost_succeeds_again(engine: Engine, job: Job) -> None:
    changed = replace(job, revision=2, name="new")
    engine.jobs.change(changed, seen=job)

    assert engine.jobs.change(changed, seen=job)

    assert stored(engine, job) == changed


def test_a_job_that_is_not_there_is_not_changed_into_being(engine: Engine) -> None:
    job = a_job()

    assert not engine.jobs.change(replace(job, revision=2), seen=job)

    assert stored(engine, job) is None


def test_a_deleted_job_is_a_tombstone_and_nothing_else(engine: Engine, tombstone: Job) -> None:
    assert stored(engine, tombstone) == tombstone
    assert due(engine, NINE + DAY) == []
    assert engine.jobs.list("acme", prefix="", after=None, limit=10).jobs == ()


def test_a_delete_whose_answer_was_lost_succeeds_again(
    engine: Engine, job: Job, tombstone: Job
) -> None:
    assert engine.jobs.change(tombstone, seen=job)

    assert stored(engine, job) == tombstone
