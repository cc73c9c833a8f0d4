"""A message of the shard queue has the due jobs visited and the due runs looked at."""

import logging
from typing import Any

import pytest

from functions.dispatch.handler import lambda_handler
from infra.definitions import FAST
from punctual.adapters.dynamodb.beats import DynamoBeats
from punctual.core.identity import RunKey
from punctual.core.jobs import JobState
from punctual.core.runs import RunState, Start
from punctual.core.schedules import Cron, Schedule
from punctual.core.watching import Reference, WatchRow
from punctual.runtime import wiring
from tests.support.builders import MINUTE, a_content, a_run, a_schedule
from tests.support.clock import NINE
from tests.support.functions_on_moto import ACCOUNT, SECRET, Cloud, Context, an_event, the_key
from tests.unit.functions.conftest import Counted

SERVICE = "dispatch"
NONE_FAILED: dict[str, Any] = {"batchItemFailures": []}


def test_due_jobs_are_handed_over(cloud: Cloud, counted: Counted) -> None:
    content = a_content(headers=(("Authorization", SECRET),), body=f'"{SECRET}"')
    job = cloud.store("report", content=content)

    answer = lambda_handler(an_event("sqs/shard_batch.json"), Context(60_000))

    assert answer == NONE_FAILED
    rows = cloud.runs.list(job.key, incarnation=1, before=None, limit=100)
    assert [run.state for run in rows] == [RunState.QUEUED] * 10
    assert cloud.jobs.read([job.key])[job.key].ordinal == 10
    assert counted() == {"SlotsHandedOver": 10}
    assert [beat.shards for beat in DynamoBeats(wiring._table("")).beats()] == [tuple(range(64))]


def test_runs_that_should_have_ended_are_looked_at(cloud: Cloud, counted: Counted) -> None:
    cloud.store("report", schedule=a_schedule(anchor=NINE), next_slot=NINE + 20 * MINUTE)
    lost = cloud.hand_over("report")
    dead = RunKey(the_key("report"), 1, "m.dead")
    cloud.runs.insert([a_run(key=dead, max_attempts=1)])
    start = Start(key=dead, owner="x", now=NINE, lease_until=NINE + MINUTE)
    assert cloud.runs.move([start])[0].applied
    references = tuple(Reference(key, 1) for key in (lost, dead))
    row = WatchRow(shard=3, minute=NINE + 15 * MINUTE, row_id="r", references=references)
    cloud.watch_list.add([row])
    cloud.clock.set(NINE + 15 * MINUTE)

    lambda_handler(an_event("sqs/shard_batch.json"), Context(60_000))

    assert [body for body, _ in cloud.received(FAST.name)] == [
        f'{{"v":1,"run":["{ACCOUNT}","report",1,"20261201T090000Z"]}}'
    ]
    assert cloud.run(dead).state is RunState.FAILED
    assert counted() == {"RunsSentAgain": 1}


def test_a_job_that_cannot_be_visited_is_parked_and_told_of(
    cloud: Cloud, counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    broken = cloud.store("broken", schedule=Schedule(rule=Cron(expression="x")), next_slot=NINE)
    cloud.store("sound")

    lambda_handler(an_event("sqs/shard_batch.json"), Context(60_000))

    assert cloud.jobs.read([broken.key])[broken.key].state is JobState.PAUSED
    assert counted() == {"JobsParked": 1, "SlotsHandedOver": 10}
    (line,) = [vars(r) for r in caplog.records if r.levelno == logging.ERROR]
    assert (line["msg"], line["tenant"], line["job_id"]) == ("job parked", ACCOUNT, "broken")


def test_what_the_time_does_not_suffice_for_is_left_to_the_next_tick(
    cloud: Cloud, counted: Counted
) -> None:
    job = cloud.store("report")

    answer = lambda_handler(an_event("sqs/shard_batch.json"), Context(10_000))

    assert answer == NONE_FAILED
    assert cloud.jobs.read([job.key])[job.key].ordinal == 0
    assert counted() == {"DispatchesCutShort": 1}


def test_a_message_that_names_no_shards_is_let_go(cloud: Cloud, counted: Counted) -> None:
    event = an_event("sqs/shard_batch.json")
    event["Records"][0]["body"] = f"no JSON, and {SECRET}"

    assert lambda_handler(event, Context()) == NONE_FAILED
    assert counted() == {}


def test_a_quiet_minute_is_not_written_down(
    cloud: Cloud, counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    lambda_handler(an_event("sqs/shard_batch.json"), Context(60_000))

    assert counted() == {}
    assert caplog.records == []
