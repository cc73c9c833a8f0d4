"""The AWS engine, opened for the contract tests: over MiniStack's sockets, or over moto within.

moto is not atomic and answers PartiQL batches wrongly, so there every write is a request of its
own, and nothing that depends on two writers is asked of it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
from botocore.config import Config
from moto import mock_aws

from infra.definitions import FAST, SHARDS, SLOW
from punctual.adapters.dynamodb.beats import DynamoBeats
from punctual.adapters.dynamodb.gate_store import DynamoGateStore
from punctual.adapters.dynamodb.job_store import DynamoJobStore
from punctual.adapters.dynamodb.log_store import DynamoLogStore
from punctual.adapters.dynamodb.request_store import DynamoRequestStore
from punctual.adapters.dynamodb.run_store import DynamoRunStore
from punctual.adapters.dynamodb.table import Table
from punctual.adapters.dynamodb.transact import one_by_one
from punctual.adapters.dynamodb.watch_list import DynamoWatchList
from punctual.adapters.sqs.bodies import read_run_body, read_shards_body
from punctual.adapters.sqs.run_queue import SqsRunQueue
from punctual.adapters.sqs.shard_queue import SqsShardQueue
from punctual.core.jobs import Lane
from punctual.ports import Message, ShardQueue
from tests.support.clock import FakeChance, FakeClock
from tests.support.engines import Engine
from tests.support.tables import create_queues, create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, kw_only=True)
class AwsEngine(Engine):
    """An engine of many hosts, which need to be woken."""

    shards: ShardQueue
    woken: Callable[[], Sequence[tuple[int, ...]]]
    """Take the groups of shards that were woken since the last time, each as its shards."""


OpenAwsEngine = Callable[[FakeClock, Path], AbstractContextManager[AwsEngine]]

SLACK = timedelta(milliseconds=250)
"""An emulated queue delivers this much after the second it was asked for."""


@contextmanager
def moto_engine(clock: FakeClock, _: Path) -> Iterator[AwsEngine]:
    """Open the engine over moto, within the process; its folder stays empty."""
    with mock_aws():
        yield make_engine(*_clients(), clock=clock, batches=False)


def ministack_engine(endpoint: str, *, dynamodb: str | None = None) -> OpenAwsEngine:
    """Say how to open the engine over a MiniStack that runs, with a table and queues of its own.

    Args:
        endpoint: Where it answers.
        dynamodb: Where another DynamoDB answers, which is to hold the table.
    """

    @contextmanager
    def open_engine(clock: FakeClock, _: Path) -> Iterator[AwsEngine]:
        yield make_engine(*_clients(endpoint, dynamodb or endpoint), clock=clock)

    return open_engine


@cache
def _clients(
    endpoint: str | None = None, dynamodb: str | None = None
) -> "tuple[DynamoDBClient, SQSClient]":
    """Return the clients of every engine there: to make them costs more than most tests."""
    return client("dynamodb", dynamodb), client("sqs", endpoint)


def client(service: Any, endpoint: str | None = None) -> Any:
    """Return a low-level client of an emulator; MiniStack does not check the credentials."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(max_pool_connections=32, retries={"mode": "standard", "max_attempts": 3}),
    )


def make_engine(
    dynamodb: "DynamoDBClient", sqs: "SQSClient", *, clock: FakeClock, batches: bool = True
) -> AwsEngine:
    """Make a table and queues that nobody else uses, and every port over them."""
    name = f"punctual-{uuid4().hex[:12]}"
    create_table(dynamodb, name)
    queue_urls = create_queues(sqs, prefix=f"{name}-")
    urls = {Lane.FAST: queue_urls[FAST.name], Lane.SLOW: queue_urls[SLOW.name]}
    shard_url = queue_urls[SHARDS.name]
    table = Table(dynamodb, name, clock=clock, chance=FakeChance(), batches=batches)

    def receive() -> Sequence[Message]:
        return [
            Message(key=read_run_body(body), receipt=handle)
            for body, handle in _receive(sqs, urls[Lane.FAST])
        ]

    def woken() -> Sequence[tuple[int, ...]]:
        shards = []
        for body, handle in _receive(sqs, shard_url):
            shards.append(read_shards_body(body))
            sqs.delete_message(QueueUrl=shard_url, ReceiptHandle=handle)
        return sorted(shards)

    def pass_time(duration: timedelta) -> None:
        time.sleep((duration + SLACK).total_seconds())
        clock.advance(duration)

    return AwsEngine(
        jobs=DynamoJobStore(table, clock=clock),
        runs=DynamoRunStore(table, clock=clock),
        requests=DynamoRequestStore(table, clock=clock),
        gates=DynamoGateStore(table, clock=clock),
        logs=DynamoLogStore(table),
        watch_list=DynamoWatchList(table),
        beats=DynamoBeats(table),
        queue=SqsRunQueue(sqs, urls=urls, clock=clock),
        shards=SqsShardQueue(sqs, url=shard_url, shards_per_message=16),
        transact=one_by_one,
        clock=clock,
        receive=receive,
        woken=woken,
        pass_time=pass_time,
        early_max=timedelta(seconds=1),
    )


def _receive(sqs: "SQSClient", url: str) -> Iterator[tuple[str, str]]:
    """Yield body and receipt handle of every message that is there, and keep each out of sight."""
    while True:
        response = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=43_200
        )
        if not response.get("Messages"):
            return
        for message in response["Messages"]:
            yield message["Body"], message["ReceiptHandle"]
