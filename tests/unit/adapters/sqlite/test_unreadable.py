"""A row that cannot be read is loud, is kept as it is, and takes no other along."""

import logging

import pytest

from punctual.adapters.sqlite.engine import SqliteEngine
from punctual.core.jobs import Job, JobState
from punctual.core.records import UnreadableRecord
from tests.support.builders import HOUR, a_content, a_due_job, a_job, a_job_key
from tests.support.clock import NINE


@pytest.fixture
def good(engine: SqliteEngine) -> Job:
    """A job beside the broken one."""
    good = a_job("good")
    engine.jobs.create(good)
    return good


@pytest.fixture
def broken(engine: SqliteEngine) -> Job:
    """A job with a schedule that no version of ours would write."""
    broken = a_job("broken")
    engine.jobs.create(broken)
    database = engine._database
    database.transact(
        lambda: database.execute(
            "UPDATE jobs SET schedule = ? WHERE job_id = 'broken'", ('{"moon":"full"}',)
        )
    )
    return broken


def column(engine: SqliteEngine, job: Job, name: str) -> object:
    ((value,),) = engine._database.select(
        f"SELECT json_group_array(json_array({name})) FROM jobs WHERE job_id = ?",
        (job.key.job_id,),
    )
    return value


def test_it_is_left_out_where_many_are_read(
    engine: SqliteEngine, good: Job, broken: Job, caplog: pytest.LogCaptureFixture
) -> None:
    assert engine.jobs.read([broken.key, good.key]) == {good.key: good}
    assert engine.jobs.list("acme", prefix="", after=None, limit=10).jobs == (good,)

    assert "job cannot be read: broken" in caplog.text


def test_it_is_parked_when_it_is_due(engine: SqliteEngine, good: Job, broken: Job) -> None:
    for _ in range(2):
        pages = list(engine.jobs.due(range(64), until=NINE + HOUR))
        assert [list(page) for page in pages] == [[a_due_job(good)]]

    assert column(engine, broken, "state") == JobState.PAUSED
    assert str(column(engine, broken, "pause_note")).startswith("parked: ")
    assert column(engine, broken, "revision") == 2


def test_it_is_neither_created_over_nor_changed(engine: SqliteEngine, broken: Job) -> None:
    with pytest.raises(UnreadableRecord):
        engine.jobs.create(broken)
    with pytest.raises(UnreadableRecord):
        engine.jobs.change(broken, seen=broken)

    assert column(engine, broken, "schedule") == '{"moon":"full"}'


def test_a_broken_content_shows_nothing_of_itself(
    engine: SqliteEngine, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = "a" * 64, "b" * 64
    engine.jobs.put_content(a_job_key(), good, a_content())
    engine.jobs.put_content(a_job_key(), bad, a_content("https://example.com/secret"))
    database = engine._database
    database.transact(
        lambda: database.execute(
            "UPDATE contents SET content = 'x' || content WHERE ref = ?", (bad,)
        )
    )

    with caplog.at_level(logging.DEBUG):
        contents = engine.jobs.read_contents([(a_job_key(), bad), (a_job_key(), good)])

    assert contents == {(a_job_key(), good): a_content()}
    assert f"content cannot be read: {bad}" in caplog.text
    assert "secret" not in caplog.text


def test_text_keeps_every_character_that_sqlite_knows(engine: SqliteEngine) -> None:
    """Even those that end a text elsewhere."""
    text = "a\x00b\x01\x1f\x7f\"'\\\u2028\ufffe\U0001f4c8"
    job = a_job(tenant=text, name=text, pause_note=text)
    engine.jobs.create(job)
    content = a_content(body=text, headers=((text, text),))
    engine.jobs.put_content(job.key, job.content, content)

    assert engine.jobs.read([job.key]) == {job.key: job}
    name = (job.key, job.content)
    assert engine.jobs.read_contents([name]) == {name: content}
    assert engine.jobs.list(text, prefix="", after=None, limit=1).jobs == (job,)
