"""The functions as they are put together in the cloud, over moto, at nine in virtual time.

moto answers PartiQL batches wrongly, so every write is a request of its own, and calls go to
virtual targets; all else is the wiring that is deployed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from infra import definitions
from infra.definitions import DEAD_LETTERS, FAST, SLOW
from punctual.adapters.dynamodb.job_store import DynamoJobStore
from punctual.adapters.dynamodb.run_store import DynamoRunStore
from punctual.adapters.dynamodb.table import Table
from punctual.adapters.dynamodb.watch_list import DynamoWatchList
from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import Content, Job
from punctual.core.records import content_ref
from punctual.core.runs import Run
from punctual.core.sharding import SHARDS
from punctual.runtime import wiring
from punctual.runtime.observability import metrics
from tests.support.builders import DAY, a_content, a_job, a_run
from tests.support.clock import NINE, FakeChance, FakeClock
from tests.support.tables import create_queues, create_table
from tests.support.virtual_targets import VirtualTargets

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

EVENTS = Path(__file__).parents[2] / "events"

ACCOUNT = "111122223333"
"""The tenant of the sample events."""

SECRET = "5ecret"
"""Stands in payloads and poison; nothing that is logged may hold it."""

_MADE_ONCE = (
    wiring.dynamodb,
    wiring.sqs,
    wiring.tick,
    wiring.dispatch,
    wiring.watch,
    wiring.execute,
    wiring.targets,
    wiring.dead_letters,
    wiring._letter_box,
)
"""What the wiring keeps for the life of a process."""


class Context:
    """What Lambda tells a function about its invocation, as far as it is written down."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:function"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def __init__(self, milliseconds: int = 45_000) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


def an_event(name: str) -> Any:
    """Return a sample event."""
    return json.loads((EVENTS / name).read_text(encoding="utf-8"))


def the_key(job_id: str) -> JobKey:
    """Return the key of a job of the sample events' tenant."""
    return JobKey(ACCOUNT, job_id)


def the_run_key(job_id: str) -> RunKey:
    """Return the key of a job's run at nine o'clock, which the sample events are about."""
    return RunKey.of_slot(the_key(job_id), incarnation=1, slot=NINE)


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """A table, queues, and what tests look at."""

    clock: FakeClock
    targets: VirtualTargets
    jobs: DynamoJobStore
    runs: DynamoRunStore
    watch_list: DynamoWatchList
    sqs: "SQSClient"
    queue_urls: dict[str, str]

    def store(self, job_id: str, *, content: Content | None = None, **fields: Any) -> Job:
        """Store a job of the sample events' tenant."""
        content = content or a_content()
        job = a_job(job_id, tenant=ACCOUNT, content=content_ref(content), **fields)
        self.jobs.put_content(job.key, job.content, content)
        assert self.jobs.create(job) is None
        return job

    def hand_over(self, job_id: str, **fields: Any) -> RunKey:
        """Store the run of nine o'clock."""
        run = a_run(key=the_run_key(job_id), **fields)
        assert self.runs.insert([run]) == [True]
        return run.key

    def run(self, key: RunKey) -> Run:
        """Return a run as it stands."""
        return self.runs.read([key])[key]

    def watched(self) -> list[tuple[RunKey, datetime]]:
        """Return every run that is watched, and when it is looked at."""
        pages = self.watch_list.due(range(SHARDS), now=NINE + DAY)
        rows = [row for page in pages for row in page]
        return [(reference.key, row.minute) for row in rows for reference in row.references]

    def received(self, queue: str) -> list[tuple[str, dict[str, Any]]]:
        """Return body and attributes of every message in a queue, and keep them out of sight."""
        found: list[tuple[str, dict[str, Any]]] = []
        while messages := self.sqs.receive_message(
            QueueUrl=self.queue_urls[queue], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            found += [(m["Body"], dict(m.get("MessageAttributes", {}))) for m in messages]
        return found


@contextmanager
def a_cloud(patch: pytest.MonkeyPatch, *, service: str) -> Iterator[Cloud]:
    """Deploy to moto, and have the wiring find it."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        patch.setenv(name, value)
    # What the environment said when the process began.
    patch.setattr(metrics.provider, "namespace", "Punctual")
    patch.setattr(metrics.provider, "service", service)
    clock = FakeClock()
    targets = VirtualTargets(clock)
    with mock_aws():
        for made_once in _MADE_ONCE:
            made_once.cache_clear()
        create_table(wiring.dynamodb(), "punctual")
        urls = create_queues(boto3.client("sqs"), prefix="punctual-")
        for name, value in {
            "TABLE_NAME": "punctual",
            "FAST_QUEUE_URL": urls[FAST.name],
            "SLOW_QUEUE_URL": urls[SLOW.name],
            "SHARD_QUEUE_URL": urls[definitions.SHARDS.name],
            "DEAD_QUEUE_URL": urls[DEAD_LETTERS.name],
            "PUBLIC_URL": "https://punctual.example",
            "EXTERNAL_ID": "punctual:test",
            "RESULTS_BUCKET": "results",
            "SHARDS_PER_MESSAGE": "16",
            "LANE": "fast",
        }.items():
            patch.setenv(name, value)
        table = Table(
            wiring.dynamodb(), "punctual", clock=clock, chance=FakeChance(), batches=False
        )
        patch.setattr(wiring, "clock", clock)
        patch.setattr(wiring, "_table", lambda _: table)
        patch.setattr(wiring, "targets", lambda: targets)
        yield Cloud(
            clock=clock,
            targets=targets,
            jobs=DynamoJobStore(table, clock=clock),
            runs=DynamoRunStore(table, clock=clock),
            watch_list=DynamoWatchList(table),
            sqs=boto3.client("sqs"),
            queue_urls=urls,
        )
    patch.undo()
    for made_once in _MADE_ONCE:
        made_once.cache_clear()
