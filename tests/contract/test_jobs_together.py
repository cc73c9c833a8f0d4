"""Jobs that are stored together: each where nothing stands or stood, with its content."""

from punctual.core.jobs import Content, Job
from tests.support.builders import a_content, a_job
from tests.support.engines import Engine


def with_contents(*jobs: Job) -> list[tuple[Job, Content]]:
    return [(job, a_content()) for job in jobs]


def test_new_jobs_are_stored_with_their_contents(engine: Engine) -> None:
    jobs = [a_job(f"job-{number}") for number in range(60)]

    assert engine.jobs.create_new(with_contents(*jobs)) == [True] * 60

    assert engine.jobs.read([job.key for job in jobs]) == {job.key: job for job in jobs}
    refs = [(job.key, job.content) for job in jobs]
    assert engine.jobs.read_contents(refs) == dict.fromkeys(refs, a_content())
    assert engine.jobs.create_new([]) == []


def test_what_is_in_the_way_stays_as_it_is(engine: Engine, job: Job) -> None:
    new, other = a_job("new"), a_job(name="other")

    assert engine.jobs.create_new(with_contents(other, new)) == [False, True]

    assert engine.jobs.read([job.key, new.key]) == {job.key: job, new.key: new}


def test_a_tombstone_is_in_the_way(engine: Engine, tombstone: Job) -> None:
    assert engine.jobs.create_new(with_contents(a_job())) == [False]

    assert engine.jobs.read([tombstone.key]) == {tombstone.key: tombstone}
