"""Creating a job: over nothing, over one that lives, over what another left behind."""

from dataclasses import replace

from punctual.core.jobs import TOMBSTONE_KEPT, Job
from tests.contract.jobs import FULL_JOB, due, stored
from tests.support.builders import HOUR, MINUTE, TICK, a_due_job, a_job, a_tombstone
from tests.support.clock import NINE
from tests.support.engines import Engine


def test_a_job_is_read_as_it_was_created(engine: Engine) -> None:
    for job in (a_job(), FULL_JOB):
        assert engine.jobs.create(job) is None

        assert stored(engine, job) == job


def test_a_job_that_lives_is_told_and_stays_as_it_is(engine: Engine, job: Job) -> None:
    assert engine.jobs.create(replace(job, name="another")) == job

    assert stored(engine, job) == job


def test_a_create_whose_answer_was_lost_succeeds_again(engine: Engine, job: Job) -> None:
    assert engine.jobs.create(job) is None

    assert stored(engine, job) == job


def test_a_tombstone_stands_in_the_way_of_who_did_not_read_it(
    engine: Engine, tombstone: Job
) -> None:
    assert engine.jobs.create(a_job()) == tombstone

    assert stored(engine, tombstone) == tombstone


def test_the_next_life_takes_the_place_of_the_tombstone(engine: Engine, tombstone: Job) -> None:
    reborn = a_job(incarnation=2, revision=tombstone.revision + 1, name="again")

    assert engine.jobs.create(reborn, over=tombstone) is None
    assert engine.jobs.create(reborn, over=tombstone) is None, "the first answer was lost"

    assert stored(engine, reborn) == reborn
    assert due(engine, NINE + HOUR) == [a_due_job(reborn)]


def test_a_create_over_an_older_tombstone_is_refused(engine: Engine, tombstone: Job) -> None:
    """Between its read and its write the job was created and deleted once more."""
    reborn = a_job(incarnation=2, revision=tombstone.revision + 1)
    engine.jobs.create(reborn, over=tombstone)
    newer = a_tombstone(reborn, at=NINE + 2 * MINUTE)
    engine.jobs.change(newer, seen=reborn)

    assert engine.jobs.create(replace(reborn, name="late"), over=tombstone) == newer

    assert stored(engine, newer) == newer


def test_a_job_that_lives_is_not_created_over(engine: Engine, job: Job) -> None:
    assert engine.jobs.create(a_job(incarnation=2, name="late"), over=job) == job

    assert stored(engine, job) == job


def test_the_tombstone_that_was_read_may_be_gone_by_the_time_of_the_create(engine: Engine) -> None:
    reborn = a_job(incarnation=2, revision=3)

    assert engine.jobs.create(reborn, over=a_tombstone(a_job(), at=NINE)) is None

    assert stored(engine, reborn) == reborn


def test_a_tombstone_is_gone_after_90_days(engine: Engine, tombstone: Job) -> None:
    engine.clock.set(tombstone.updated_at + TOMBSTONE_KEPT - TICK)
    assert stored(engine, tombstone) == tombstone
    assert engine.jobs.create(a_job()) == tombstone

    engine.clock.advance(TICK)

    assert stored(engine, tombstone) is None
    assert engine.jobs.create(a_job()) is None
    assert stored(engine, a_job()) == a_job()


def test_jobs_of_two_tenants_share_nothing_but_the_name(engine: Engine) -> None:
    tenants = ("acme", "acme2", "Acme", "a#b", "a%", "_", "it's", "a b", "日本")
    jobs = [a_job(tenant=tenant, name=tenant) for tenant in tenants]

    assert {engine.jobs.create(job) for job in jobs} == {None}

    assert engine.jobs.read([job.key for job in jobs]) == {job.key: job for job in jobs}
