"""Due jobs: which they are, what is known of them, and long lists."""

from dataclasses import replace
from itertools import count, islice
from typing import Any

import pytest

from punctual.core.jobs import Job, JobState
from tests.contract.engines import ATOMIC
from tests.contract.jobs import FULL_JOB, a_claim, due
from tests.support.builders import DAY, HOUR, MINUTE, TICK, a_due_job, a_job
from tests.support.clock import NINE
from tests.support.engines import Engine


def test_active_jobs_are_due_from_their_pointer_on_and_earliest_first(engine: Engine) -> None:
    jobs = [a_job(f"job-{n}", next_slot=NINE + (9 - n) * MINUTE) for n in range(9)]
    for job in jobs:
        engine.jobs.create(job)

    assert due(engine, NINE + 5 * MINUTE) == [a_due_job(job) for job in reversed(jobs)][:5]
    assert due(engine, NINE + MINUTE) == [a_due_job(jobs[-1])]
    assert due(engine, NINE + MINUTE - TICK) == []


def test_a_due_job_carries_what_a_visit_needs(engine: Engine) -> None:
    job = replace(FULL_JOB, state=JobState.ACTIVE)
    engine.jobs.create(job)

    assert due(engine, NINE + MINUTE) == [a_due_job(job)]


@pytest.mark.parametrize(
    "changes",
    [
        {"state": JobState.PAUSED, "paused_at": NINE},
        {"state": JobState.ENDED, "next_slot": None, "last_slot": NINE},
    ],
)
def test_a_job_that_is_not_active_is_not_due(
    engine: Engine, job: Job, changes: dict[str, Any]
) -> None:
    changed = replace(job, revision=2, **changes)
    engine.jobs.change(changed, seen=job)
    assert due(engine, NINE + DAY) == []

    resumed = replace(job, revision=3)
    engine.jobs.change(resumed, seen=changed)

    assert due(engine, NINE + DAY) == [a_due_job(resumed)]


def test_only_jobs_of_the_shards_asked_for_are_due(engine: Engine) -> None:
    jobs = [a_job(f"job-{n}") for n in range(20)]
    for job in jobs:
        engine.jobs.create(job)
    shards = sorted({job.shard for job in jobs})[::2]

    found = due(engine, NINE + HOUR, shards)

    assert {job.key for job in found} == {job.key for job in jobs if job.shard in shards}


@pytest.mark.parametrize("engine", ATOMIC, indirect=True)
def test_a_long_list_comes_in_pages_and_each_job_once(engine: Engine) -> None:
    """All are in one shard, many are due at the same instant, and each page is claimed."""
    shard = a_job("job-0").shard
    jobs = list(islice((job for n in count() if (job := a_job(f"job-{n}")).shard == shard), 260))
    jobs = [replace(job, next_slot=NINE + (n // 100) * MINUTE) for n, job in enumerate(jobs)]
    for job in jobs:
        engine.jobs.create(job)
    by_key = {job.key: job for job in jobs}

    found = []
    for page in engine.jobs.due([shard], until=NINE + HOUR):
        found += [job.key for job in page]
        claims = [a_claim(by_key[job.key], next_slot=NINE + DAY) for job in page]
        assert all(engine.jobs.claim(claims))

    assert len(found) == len(jobs)
    assert set(found) == set(by_key)
