"""Reading many jobs, and listing those of a tenant."""

from datetime import UTC, datetime

import pytest

from punctual.core.jobs import JobState
from punctual.core.schedules import At, Schedule
from tests.contract.jobs import due, stored
from tests.support.builders import HOUR, TICK, a_due_job, a_job, a_job_key, a_schedule, a_tombstone
from tests.support.clock import NINE
from tests.support.engines import Engine


def test_many_jobs_are_read_together_and_missing_ones_are_left_out(engine: Engine) -> None:
    jobs = [a_job(f"job-{n}") for n in range(120)]
    for job in jobs:
        engine.jobs.create(job)

    found = engine.jobs.read([*(job.key for job in jobs), a_job_key("missing")])

    assert found == {job.key: job for job in jobs}
    assert engine.jobs.read([]) == {}


def test_instants_and_numbers_keep_their_last_digit(engine: Engine) -> None:
    far = datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    job = a_job(
        schedule=Schedule(rule=At(at=far)),
        next_slot=far,
        created_at=NINE + TICK,
        revision=2**40,
        ordinal=2**40 + 1,
    )
    engine.jobs.create(job)

    assert stored(engine, job) == job
    assert due(engine, far) == [a_due_job(job)]


@pytest.fixture
def names(engine: Engine) -> list[str]:
    """The ids of one tenant's jobs, in order; another job is deleted, others are not its own."""
    names = ["a", "a-1", "a-10", "a-2", "a_", "a_x", "b", "ba", "z" * 64]
    for name in reversed(names):
        engine.jobs.create(a_job(name))
    gone = a_job("a-3")
    engine.jobs.create(gone)
    engine.jobs.change(a_tombstone(gone, at=NINE), seen=gone)
    engine.jobs.create(a_job("a-4", tenant="other"))
    engine.jobs.create(a_job("a-5", tenant="acm"))
    return names


def walk(engine: Engine, *, prefix: str, limit: int) -> list[str]:
    """Read page after page, and return the ids in the order they came."""
    found: list[str] = []
    after: str | None = None
    while True:
        page = engine.jobs.list("acme", prefix=prefix, after=after, limit=limit)
        assert len(page.jobs) <= limit
        found += [job.key.job_id for job in page.jobs]
        assert len(found) == len(set(found)), "a walk that goes in circles"
        after = page.last_job_id
        if after is None:
            return found


def test_a_walk_meets_every_job_once_in_order(engine: Engine, names: list[str]) -> None:
    for limit in (1, 2, 3, 9, 10, 100):
        assert walk(engine, prefix="", limit=limit) == names


def test_a_prefix_is_what_the_ids_begin_with(engine: Engine, names: list[str]) -> None:
    for prefix in ("a", "a-", "a-1", "a_", "b", "z" * 64, "c", "a-3", "é", "%", "A"):
        expected = [name for name in names if name.startswith(prefix)]

        assert walk(engine, prefix=prefix, limit=2) == expected


def test_a_listing_goes_on_after_any_name(engine: Engine, names: list[str]) -> None:
    for after in ("0", "a", "a-3", "a-9", "b", "zz"):
        page = engine.jobs.list("acme", prefix="a", after=after, limit=100)

        found = [job.key.job_id for job in page.jobs]
        assert found == [name for name in names if name.startswith("a") and name > after]
        assert page.last_job_id is None


def test_jobs_are_listed_as_they_stand(engine: Engine) -> None:
    paused = a_job(state=JobState.PAUSED, paused_at=NINE, schedule=a_schedule(HOUR))
    engine.jobs.create(paused)

    assert engine.jobs.list("acme", prefix="", after=None, limit=5).jobs == (paused,)
    assert engine.jobs.list("nobody", prefix="", after=None, limit=5).jobs == ()
