"""What only this engine promises: lives that overlap, rows that cannot be read, fair pages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from punctual.adapters.dynamodb import job_store
from punctual.adapters.dynamodb.items import Item, address, is_expired
from punctual.adapters.dynamodb.job_store import DynamoJobStore
from punctual.adapters.dynamodb.keys import JOB, content_sort, job_partition
from punctual.adapters.dynamodb.moves import write_of
from punctual.adapters.dynamodb.run_store import DynamoRunStore
from punctual.adapters.dynamodb.table import Table
from punctual.core.jobs import TOMBSTONE_KEPT, Job, JobState
from punctual.core.runs import Start, Void
from punctual.ports import Beat
from tests.support.aws_engine import client, make_engine
from tests.support.builders import (
    DAY,
    HOUR,
    MINUTE,
    a_content,
    a_job,
    a_job_key,
    a_run,
    a_stretch,
    a_tombstone,
)
from tests.support.clock import NINE, FakeChance, FakeClock
from tests.support.engines import Engine
from tests.support.tables import create_table

TABLE = "jobs"


@dataclass(frozen=True, kw_only=True)
class World:
    """A table, and a job store over it."""

    dynamodb: Any
    table: Table
    jobs: DynamoJobStore
    clock: FakeClock

    def item(self, job: Job, sort: str) -> dict[str, Any]:
        key = address(job_partition(job.key), sort)
        return dict(self.dynamodb.get_item(TableName=TABLE, Key=key).get("Item", {}))

    def break_job(self, job: Job) -> None:
        """Write what no version of ours would."""
        self.dynamodb.update_item(
            TableName=TABLE,
            Key=address(job_partition(job.key), JOB),
            UpdateExpression="SET #schedule = :broken",
            ExpressionAttributeNames={"#schedule": "schedule"},
            ExpressionAttributeValues={":broken": {"S": '{"moon":"full"}'}},
        )


@pytest.fixture
def world() -> Iterator[World]:
    with mock_aws():
        dynamodb, clock = client("dynamodb"), FakeClock()
        create_table(dynamodb, TABLE)
        table = Table(dynamodb, TABLE, clock=clock, chance=FakeChance(), batches=False)
        jobs = DynamoJobStore(table, clock=clock)
        yield World(dynamodb=dynamodb, table=table, jobs=jobs, clock=clock)


def test_a_job_that_cannot_be_read_is_parked_and_its_shard_goes_on(world: World) -> None:
    good, bad = a_job("good"), a_job("bad")
    for job in (good, bad):
        world.jobs.create(job)
    world.break_job(bad)

    due = [job for page in world.jobs.due(range(64), until=NINE + HOUR) for job in page]

    assert [job.key for job in due] == [good.key]
    item = world.item(bad, JOB)
    assert item["state"] == {"S": JobState.PAUSED}
    assert item["pause_note"]["S"].startswith("parked")
    assert "due_at" not in item
    assert "due_shard" not in item


def test_a_job_that_cannot_be_read_takes_no_other_along(world: World) -> None:
    good, bad = a_job("good"), a_job("bad")
    for job in (good, bad):
        world.jobs.create(job)
    world.break_job(bad)

    assert world.jobs.read([bad.key, good.key]) == {good.key: good}


def test_a_content_that_cannot_be_read_takes_no_other_along(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """And what it holds, which may be secrets, stays out of the log."""
    good, bad = a_job("good"), a_job("bad")
    for job in (good, bad):
        world.jobs.put_content(job.key, job.content, a_content())
    for sort, broken in ((content_sort(bad.content), "secret"), (content_sort("stub"), None)):
        item = address(job_partition(bad.key), sort)
        if broken is not None:
            item["content"] = {"S": broken}
        world.dynamodb.put_item(TableName=TABLE, Item=item)

    refs = [(bad.key, bad.content), (bad.key, "stub"), (good.key, good.content)]
    contents = world.jobs.read_contents(refs)

    assert contents == {(good.key, good.content): a_content()}
    assert "content cannot be read" in caplog.text
    assert "secret" not in caplog.text


def test_a_deleted_jobs_contents_end_with_its_tombstone(world: World) -> None:
    job = a_job()
    world.jobs.put_content(job.key, job.content, a_content())
    world.jobs.create(job)

    assert world.jobs.change(a_tombstone(job, at=NINE), seen=job)

    content = world.item(job, content_sort(job.content))
    assert content["ttl"] == world.item(job, JOB)["ttl"]
    assert not is_expired(content, now=NINE + TOMBSTONE_KEPT - MINUTE)
    assert is_expired(content, now=NINE + TOMBSTONE_KEPT)


def test_a_delete_that_lost_dates_nothing(world: World) -> None:
    job = a_job()
    world.jobs.put_content(job.key, job.content, a_content())
    world.jobs.create(job)
    changed = replace(job, revision=2)
    assert world.jobs.change(changed, seen=job)

    assert not world.jobs.change(a_tombstone(job, at=NINE), seen=job)

    assert "ttl" not in world.item(job, content_sort(job.content))


def test_a_content_that_a_new_life_uses_does_not_end_with_the_old_one(world: World) -> None:
    """The job is created again, with the same content, in the middle of its delete."""
    job = a_job()
    world.jobs.put_content(job.key, job.content, a_content())
    world.jobs.create(job)
    tombstone = a_tombstone(job, at=NINE)
    reborn = replace(job, incarnation=2, revision=tombstone.revision + 1)

    class CreatesAgain(Table):
        """Lets a create in between the delete's tombstone and its dating of the contents."""

        def write(self, writes: Any) -> Any:
            assert world.jobs.create(reborn, over=tombstone) is None
            return super().write(writes)

    table = CreatesAgain(
        world.dynamodb, TABLE, clock=world.clock, chance=FakeChance(), batches=False
    )
    assert DynamoJobStore(table, clock=world.clock).change(tombstone, seen=job)

    assert world.jobs.read([job.key]) == {job.key: reborn}
    assert "ttl" not in world.item(job, content_sort(job.content))


def test_a_content_that_was_dated_lives_on_with_the_next_life(world: World) -> None:
    job = a_job()
    world.jobs.put_content(job.key, job.content, a_content())
    world.jobs.create(job)
    tombstone = a_tombstone(job, at=NINE)
    world.jobs.change(tombstone, seen=job)

    reborn = replace(job, incarnation=2, revision=tombstone.revision + 1)
    assert world.jobs.create(reborn, over=tombstone) is None

    assert "ttl" not in world.item(job, content_sort(job.content))
    assert world.jobs.read_contents([(job.key, job.content)]) == {
        (job.key, job.content): a_content()
    }


def test_a_tombstone_past_its_time_is_gone_whether_the_table_deleted_it_or_not(
    world: World,
) -> None:
    job = a_job()
    world.jobs.create(job)
    world.jobs.change(a_tombstone(job, at=NINE), seen=job)
    world.clock.advance(TOMBSTONE_KEPT - timedelta(milliseconds=1))
    assert job.key in world.jobs.read([job.key])
    assert world.jobs.create(a_job()) is not None

    world.clock.advance(timedelta(milliseconds=1))

    assert world.jobs.read([job.key]) == {}
    assert world.jobs.create(a_job()) is None
    assert "ttl" not in world.item(job, JOB)


def test_a_crowded_shard_does_not_hold_up_its_neighbours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_store, "DUE_PAGE", 2)
    jobs = [a_job(f"job-{n}") for n in range(40)]
    crowded = jobs[0].shard
    names = (a_job(f"twin-{n}") for n in range(10_000))
    twins = [
        job for _, job in zip(range(5), (j for j in names if j.shard == crowded), strict=False)
    ]
    for job in [*jobs, *twins]:
        world.jobs.create(job)

    first, *_ = world.jobs.due(range(64), until=NINE + HOUR)

    assert {job.shard for job in first} == {job.shard for job in jobs}
    assert sum(job.shard == crowded for job in first) == 2


def test_beats_of_groups_that_are_no_more_are_not_shown(tmp_path: Path) -> None:
    """A stage chose larger groups: the smaller ones are not late, they are gone."""
    with mock_aws():
        engine: Engine = make_engine(
            client("dynamodb"), client("sqs"), clock=FakeClock(), batches=False
        )
        small = [Beat(shards=(n,), at=NINE) for n in range(3)]
        for beat in small:
            engine.beats.beat(beat)
        assert list(engine.beats.beats()) == small

        large = Beat(shards=(0, 1), at=NINE + DAY)
        engine.beats.beat(large)

        assert list(engine.beats.beats()) == [large, small[2]]


class ShortPages:
    """A client whose pages end early, as those of the service may."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dynamodb, name)

    def query(self, **request: Any) -> Any:
        return self._dynamodb.query(**{**request, "Limit": 2})


def test_no_stretch_is_overlooked_where_a_page_ends_early(world: World) -> None:
    """A slot that was left out would run after all."""
    short: Any = ShortPages(world.dynamodb)
    table = Table(short, TABLE, clock=world.clock, chance=FakeChance(), batches=False)
    runs = DynamoRunStore(table, clock=world.clock)
    job = a_job_key()
    stretches = [a_stretch(NINE + n * HOUR) for n in range(101)]
    runs.put_stretches([(job, stretch) for stretch in stretches])

    assert runs.stretches(job, incarnation=1) == stretches[:0:-1], "the latest hundred"


class TakenBack:
    """A table from which a row goes just before it is read."""

    def __init__(self, table: Table, *, void: Void) -> None:
        self._table = table
        self._void = void

    def get(self, addresses: Sequence[Item]) -> list[Item]:
        """See `Table.get`."""
        self._table.write([write_of(self._void)])
        return self._table.get(addresses)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)


def test_a_row_that_is_taken_back_as_it_is_handed_over_again_is_inserted(world: World) -> None:
    """Found by the simulation: a resume at the very slot left it to the next tick."""
    run = a_run()
    start = Start(key=run.key, owner="me", now=NINE, lease_until=NINE + MINUTE)
    DynamoRunStore(world.table, clock=world.clock).insert([run])
    world.table.write([write_of(start)])
    table: Any = TakenBack(world.table, void=Void(key=run.key, owner="me"))
    runs = DynamoRunStore(table, clock=world.clock)

    assert runs.insert([run]) == [True]
    assert DynamoRunStore(world.table, clock=world.clock).read([run.key]) == {run.key: run}
