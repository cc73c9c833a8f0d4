"""Puts services together with the adapters they run on in the cloud.

Everything is made on first use and kept for the life of the process, so a function makes only the
clients it needs. The API's own parts are in `api_wiring`, since they cost more to import.
"""

from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from punctual.adapters.dynamodb.beats import DynamoBeats
from punctual.adapters.dynamodb.gate_store import DynamoGateStore
from punctual.adapters.dynamodb.job_store import DynamoJobStore
from punctual.adapters.dynamodb.log_store import DynamoLogStore
from punctual.adapters.dynamodb.run_store import DynamoRunStore
from punctual.adapters.dynamodb.table import Table
from punctual.adapters.dynamodb.transact import one_by_one
from punctual.adapters.dynamodb.watch_list import DynamoWatchList
from punctual.adapters.results.s3 import S3Results
from punctual.adapters.secrets.manager import ManagedSecrets
from punctual.adapters.sqs.dead_letter_box import SqsDeadLetterBox
from punctual.adapters.sqs.run_queue import SqsRunQueue
from punctual.adapters.sqs.shard_queue import SqsShardQueue
from punctual.adapters.system import SystemChance, SystemClock
from punctual.adapters.targets.on_first_call import OnFirstCall
from punctual.core.jobs import FAST_TIMEOUT_MAX, SLOW_TIMEOUT_MAX, Lane
from punctual.core.sharding import group_count
from punctual.ports import Chance, Clock, DeadLetter, Targets
from punctual.runtime.clients import make_client
from punctual.runtime.settings import (
    DeadLettersSettings,
    DispatchSettings,
    ExecuteSettings,
    TickSettings,
)
from punctual.services.dead_letters import DeadLetters
from punctual.services.dispatch import Dispatch
from punctual.services.execute import Execute
from punctual.services.tick import Tick
from punctual.services.watch import Watch

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

DISPATCH_MARGIN = timedelta(seconds=10)
"""A dispatch takes up nothing more this long before its time is over."""

SETTLING = timedelta(seconds=5)
"""What an executor needs beside its longest call, to start it and to write how it ended."""

_PATIENCE = {"connect_timeout": 1, "read_timeout": 2}

STORE_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=16,
    **_PATIENCE,  # type: ignore[arg-type]
)
_SEND_CONFIG = Config(
    # A send whose answer was lost is not repeated here: it would double the message.
    retries={"mode": "standard", "total_max_attempts": 1},
    **_PATIENCE,  # type: ignore[arg-type]
)

clock: Clock = SystemClock()
chance: Chance = SystemChance()


@cache
def dynamodb() -> "DynamoDBClient":
    """Return the client of the table."""
    client: DynamoDBClient = make_client("dynamodb", config=STORE_CONFIG)
    return client


@cache
def sqs() -> "SQSClient":
    """Return the client of the queues; it repeats nothing by itself."""
    client: SQSClient = make_client("sqs", config=_SEND_CONFIG)
    return client


@cache
def s3() -> Any:  # noqa: ANN401 - there are no types of this client here
    """Return the client of the bucket."""
    return make_client("s3", config=STORE_CONFIG)


@cache
def secrets_manager() -> Any:  # noqa: ANN401 - there are no types of this client here
    """Return the client of the secrets."""
    return make_client("secretsmanager", config=STORE_CONFIG)


@cache
def tick() -> Tick:
    """Return the tick, as its function's environment describes it."""
    settings = TickSettings.from_env()
    return Tick(
        shards=SqsShardQueue(
            sqs(),
            url=settings.shard_queue_url,
            shards_per_message=settings.shards_per_message,
        ),
        groups=group_count(shards_per_message=settings.shards_per_message),
        clock=clock,
    )


@cache
def dispatch() -> Dispatch:
    """Return the dispatch, as its function's environment describes it."""
    settings = DispatchSettings.from_env()
    table = _table(settings.table_name)
    return Dispatch(
        jobs=DynamoJobStore(table, clock=clock),
        runs=DynamoRunStore(table, clock=clock),
        watch_list=DynamoWatchList(table),
        queue=SqsRunQueue(sqs(), urls=settings.queue_urls, clock=clock, fair=settings.many_tenants),
        beats=DynamoBeats(table),
        clock=clock,
        chance=chance,
        transact=one_by_one,
    )


@cache
def watch() -> Watch:
    """Return the second look, which shares the dispatch's function."""
    settings = DispatchSettings.from_env()
    table = _table(settings.table_name)
    return Watch(
        jobs=DynamoJobStore(table, clock=clock),
        runs=DynamoRunStore(table, clock=clock),
        watch_list=DynamoWatchList(table),
        queue=SqsRunQueue(sqs(), urls=settings.queue_urls, clock=clock, fair=settings.many_tenants),
        clock=clock,
        chance=chance,
        transact=one_by_one,
    )


@cache
def execute() -> Execute:
    """Return the executor of one lane, as its function's environment describes it."""
    settings = ExecuteSettings.from_env()
    table = _table(settings.table_name)
    return Execute(
        jobs=DynamoJobStore(table, clock=clock),
        runs=DynamoRunStore(table, clock=clock),
        gates=DynamoGateStore(table, clock=clock),
        watch_list=DynamoWatchList(table),
        queue=SqsRunQueue(sqs(), urls=settings.queue_urls, clock=clock, receives=settings.lane),
        targets=targets(),
        clock=clock,
        chance=chance,
        transact=one_by_one,
        logs=DynamoLogStore(table),
        address=lambda: settings.public_url,
    )


@cache
def targets() -> Targets:
    """Return where calls go.

    What they need is imported aside: a batch mostly waits for its slot, and its runs are started
    before they call.
    """
    Thread(target=_import_targets, name="imports", daemon=True).start()
    return OnFirstCall(_open_targets, clock=clock)


def _import_targets() -> None:
    import_module("punctual.adapters.targets.every")


def _open_targets() -> Targets:
    from punctual.adapters.targets.every import every_target  # noqa: PLC0415 - takes long

    settings = ExecuteSettings.from_env()
    return every_target(
        allow_private=settings.allow_private_targets,
        external_id=settings.external_id,
        secrets=ManagedSecrets(secrets_manager),
        results=results(settings.results_bucket),
        clock=clock,
    )


@cache
def results(bucket: str) -> S3Results:
    """Return where long results lie; the client is made for the first of them."""
    return S3Results(s3, bucket=bucket)


def longest_call() -> timedelta:
    """Return what an executor of this lane must have left of its time to start a run."""
    lane = ExecuteSettings.from_env().lane
    return SETTLING + (FAST_TIMEOUT_MAX if lane is Lane.FAST else SLOW_TIMEOUT_MAX)


@cache
def dead_letters() -> DeadLetters:
    """Return the reader of exhausted messages, as its function's environment describes it."""
    settings = DeadLettersSettings.from_env()
    table = _table(settings.table_name)
    return DeadLetters(
        runs=DynamoRunStore(table, clock=clock),
        watch_list=DynamoWatchList(table),
        letters=_letter_box(settings.dead_queue_url),
        clock=clock,
        chance=chance,
    )


def bury(unreadable: Iterable[tuple[str, DeadLetter]]) -> list[str]:
    """Keep unreadable messages as dead letters; return the ids of those not surely kept."""
    letters = list(unreadable)
    if not letters:
        return []
    box = _letter_box(DeadLettersSettings.from_env().dead_queue_url)
    kept = box.keep([letter for _, letter in letters])
    return [
        message_id for (message_id, _), is_kept in zip(letters, kept, strict=True) if not is_kept
    ]


@cache
def _table(name: str) -> Table:
    return Table(dynamodb(), name, clock=clock, chance=chance)


@cache
def _letter_box(url: str) -> SqsDeadLetterBox:
    return SqsDeadLetterBox(sqs(), url=url)
