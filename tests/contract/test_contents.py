"""Contents: stored under their digest, and as long-lived as what needs them."""

from dataclasses import replace

import pytest

from punctual.core.jobs import TOMBSTONE_KEPT, Job
from tests.support.builders import TICK, a_content, a_job, a_job_key, a_tombstone
from tests.support.clock import NINE
from tests.support.engines import Engine

REF = "a" * 64


def test_contents_are_read_as_they_were_stored(engine: Engine) -> None:
    key = a_job_key()
    contents = {
        REF: a_content(),
        "b" * 64: a_content(
            "https://example.com/ü?q=1",
            method="PUT",
            headers=(("x-note", 'say "hi"; --'), ("x-note", "twice")),
            body='{"emoji":"📈","nested":[1,null]}',
            success_codes=("2xx", "409"),
            tags=(("team", "büro"),),
        ),
    }
    for ref, content in contents.items():
        engine.jobs.put_content(key, ref, content)
        engine.jobs.put_content(key, ref, content)

    found = engine.jobs.read_contents([(key, ref) for ref in (*contents, "c" * 64)])

    assert found == {(key, ref): content for ref, content in contents.items()}
    assert engine.jobs.read_contents([]) == {}


def test_a_content_with_an_end_is_there_until_then(engine: Engine) -> None:
    key, until = a_job_key(), NINE + TOMBSTONE_KEPT
    engine.jobs.put_content(key, "run-1", a_content(), until=until)
    engine.jobs.put_content(key, "run-1", a_content(), until=until)

    engine.clock.set(until - TICK)

    assert engine.jobs.read_contents([(key, "run-1")]) == {(key, "run-1"): a_content()}


def test_a_content_with_an_end_takes_nothing_of_the_job_with_it(engine: Engine, job: Job) -> None:
    engine.jobs.put_content(job.key, "run-1", a_content(), until=NINE + TICK)

    engine.clock.set(NINE + TOMBSTONE_KEPT)

    assert is_there(engine, job)


def test_a_content_belongs_to_its_job(engine: Engine) -> None:
    mine, yours = a_content("https://example.com/mine"), a_content("https://example.com/yours")
    engine.jobs.put_content(a_job_key("mine"), REF, mine)
    engine.jobs.put_content(a_job_key("yours"), REF, yours)

    found = engine.jobs.read_contents([(a_job_key("mine"), REF), (a_job_key("other"), REF)])

    assert found == {(a_job_key("mine"), REF): mine}


def test_a_deleted_jobs_content_is_kept_as_long_as_its_tombstone(
    engine: Engine, tombstone: Job
) -> None:
    engine.clock.set(tombstone.updated_at + TOMBSTONE_KEPT - TICK)

    assert is_there(engine, tombstone)


@pytest.mark.parametrize("stored_again", [True, False])
def test_a_content_that_the_next_life_uses_does_not_end_with_the_old_one(
    engine: Engine, tombstone: Job, stored_again: bool
) -> None:
    reborn = a_job(incarnation=2, revision=tombstone.revision + 1)
    if stored_again:
        engine.jobs.put_content(reborn.key, reborn.content, a_content())
    engine.jobs.create(reborn, over=tombstone)

    engine.clock.advance(2 * TOMBSTONE_KEPT)

    assert is_there(engine, reborn)


def test_a_delete_that_was_refused_ends_no_content(engine: Engine, job: Job) -> None:
    engine.jobs.change(replace(job, revision=2), seen=job)
    assert not engine.jobs.change(a_tombstone(job, at=NINE), seen=job)

    engine.clock.advance(2 * TOMBSTONE_KEPT)

    assert is_there(engine, job)


def is_there(engine: Engine, job: Job) -> bool:
    name = (job.key, job.content)
    return engine.jobs.read_contents([name]) == {name: a_content()}
