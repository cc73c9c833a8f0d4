"""Claims: a pointer moves only from where the claim expects it. Parking takes a job out."""

from dataclasses import replace
from datetime import datetime

import pytest

from punctual.core.jobs import Job, JobState
from tests.contract.jobs import a_claim, due, stored
from tests.support.builders import DAY, HOUR, MINUTE, TICK, a_due_job, a_job, a_job_key
from tests.support.clock import NINE
from tests.support.engines import Engine


def test_a_claim_moves_the_pointer_and_nothing_else(engine: Engine, job: Job) -> None:
    assert engine.jobs.claim([a_claim(job)]) == [True]

    moved = replace(job, next_slot=NINE + 11 * MINUTE, ordinal=10)
    assert stored(engine, job) == moved
    assert due(engine, NINE + 11 * MINUTE - TICK) == []
    assert due(engine, NINE + 11 * MINUTE) == [a_due_job(moved)]


def test_the_last_claim_ends_the_job(engine: Engine, job: Job) -> None:
    last = a_claim(job, next_slot=None, state=JobState.ENDED, last_slot=NINE + 9 * MINUTE)

    assert engine.jobs.claim([last]) == [True]

    assert stored(engine, job) == replace(
        job, next_slot=None, state=JobState.ENDED, last_slot=NINE + 9 * MINUTE, ordinal=10
    )
    assert due(engine, NINE + DAY) == []


def test_a_claim_forgets_nothing_of_an_end_that_was_undone(engine: Engine, job: Job) -> None:
    again = replace(job, revision=2, last_slot=NINE)
    engine.jobs.change(again, seen=job)

    assert engine.jobs.claim([a_claim(again)]) == [True]

    assert stored(engine, job) == replace(again, next_slot=NINE + 11 * MINUTE, ordinal=10)


@pytest.mark.parametrize("next_slot", [NINE + 9 * MINUTE, None])
def test_a_paused_job_is_claimed_for_what_it_owes_and_stays_paused(
    engine: Engine, job: Job, next_slot: datetime | None
) -> None:
    paused = replace(job, state=JobState.PAUSED, paused_at=NINE + 5 * MINUTE, revision=2)
    engine.jobs.change(paused, seen=job)
    last_slot = None if next_slot else NINE + 8 * MINUTE

    claim = a_claim(paused, next_slot=next_slot, last_slot=last_slot)
    assert engine.jobs.claim([claim]) == [True]

    assert stored(engine, job) == replace(
        paused, next_slot=next_slot, last_slot=last_slot, ordinal=10
    )
    assert due(engine, NINE + DAY) == []


def test_a_claim_of_what_does_not_stand_is_refused(engine: Engine, job: Job) -> None:
    claims = [
        a_claim(job, expected_slot=NINE),
        a_claim(job, expected_slot=NINE + MINUTE + TICK),
        a_claim(job, expected_revision=2),
        a_claim(job, expected_state=JobState.PAUSED),
        a_claim(job, key=a_job_key("missing")),
        a_claim(job, key=a_job_key(tenant="other")),
    ]

    assert [engine.jobs.claim([claim]) for claim in claims] == [[False]] * len(claims)

    assert stored(engine, job) == job
    assert engine.jobs.read([a_job_key("missing"), a_job_key(tenant="other")]) == {}


def test_a_claim_is_made_once(engine: Engine, job: Job) -> None:
    assert engine.jobs.claim([a_claim(job)]) == [True]
    assert engine.jobs.claim([a_claim(job)]) == [False]


def test_a_tombstone_is_not_claimed(engine: Engine, job: Job, tombstone: Job) -> None:
    assert engine.jobs.claim([a_claim(job)]) == [False]
    assert engine.jobs.claim([a_claim(job, expected_revision=tombstone.revision)]) == [False]

    assert stored(engine, job) == tombstone


def test_each_claim_of_a_batch_stands_alone(engine: Engine) -> None:
    jobs = [a_job(f"job-{n:02}") for n in range(60)]
    for job in jobs:
        engine.jobs.create(job)
    lost = {job.key for job in jobs[::3]}

    claims = [a_claim(job, expected_revision=9 if job.key in lost else 1) for job in jobs]

    assert engine.jobs.claim(claims) == [job.key not in lost for job in jobs]
    assert engine.jobs.read([job.key for job in jobs]) == {
        job.key: job if job.key in lost else replace(job, next_slot=NINE + 11 * MINUTE, ordinal=10)
        for job in jobs
    }
    assert engine.jobs.claim([]) == []


def test_a_parked_job_is_paused_and_says_why(engine: Engine, job: Job) -> None:
    engine.jobs.park(job.key, reason="parked: it has no slots (ÄÖÜ)", now=NINE + HOUR)

    assert stored(engine, job) == replace(
        job,
        state=JobState.PAUSED,
        revision=2,
        paused_at=NINE + HOUR,
        updated_at=NINE + HOUR,
        pause_note="parked: it has no slots (ÄÖÜ)",
    )
    assert due(engine, NINE + DAY) == []


def test_only_an_active_job_is_parked(engine: Engine, tombstone: Job) -> None:
    paused = a_job("paused", state=JobState.PAUSED, paused_at=NINE)
    engine.jobs.create(paused)
    keys = [tombstone.key, paused.key, a_job_key("missing")]

    for key in keys:
        engine.jobs.park(key, reason="late", now=NINE + HOUR)

    assert engine.jobs.read(keys) == {tombstone.key: tombstone, paused.key: paused}
