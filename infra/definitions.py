"""The table and the queues as plain data: the one source for what is deployed and what is tested.

The stack makes its resources of these, and the tests make theirs with the arguments that they
give for boto3, so that no test passes on a table or a queue that is not the deployed one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that is part of a key."""

    name: str
    type: Literal["S", "N"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A global secondary index; an item without both of its keys is not in it."""

    name: str
    partition_key: Attribute
    sort_key: Attribute
    carries: tuple[str, ...] = ()
    """What it holds beside the keys of index and table. Each write to one of these costs a unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDefinition:
    """The shape of the one table."""

    partition_key: Attribute
    sort_key: Attribute
    ttl_attribute: str
    """Epoch seconds, after which the table deletes an item, within days and for free."""
    indexes: tuple[Index, ...]

    def create_arguments(self, name: str) -> dict[str, Any]:
        """Return what `create_table` of a boto3 client takes."""
        keys = [self.partition_key, self.sort_key]
        for index in self.indexes:
            keys += [index.partition_key, index.sort_key]
        return {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": key.name, "AttributeType": key.type} for key in keys
            ],
            "KeySchema": _key_schema(self.partition_key, self.sort_key),
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": index.name,
                    "KeySchema": _key_schema(index.partition_key, index.sort_key),
                    "Projection": _projection(index),
                }
                for index in self.indexes
            ],
        }

    def ttl_arguments(self, name: str) -> dict[str, Any]:
        """Return what `update_time_to_live` of a boto3 client takes."""
        return {
            "TableName": name,
            "TimeToLiveSpecification": {"Enabled": True, "AttributeName": self.ttl_attribute},
        }


def _key_schema(partition_key: Attribute, sort_key: Attribute) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition_key.name, "KeyType": "HASH"},
        {"AttributeName": sort_key.name, "KeyType": "RANGE"},
    ]


def _projection(index: Index) -> dict[str, Any]:
    if not index.carries:
        return {"ProjectionType": "KEYS_ONLY"}
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.carries)}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDefinition:
    """One queue: whom it serves, and when it gives up on a message."""

    name: str
    visibility: timedelta
    """How long a received message is out of sight; a reader that died holds it up this long."""
    retention: timedelta
    fifo: bool = False
    receives_max: int | None = None
    """Deliveries after which a message goes to `gives_up_to`; None leaves that to retention."""
    gives_up_to: "QueueDefinition | None" = None

    @property
    def full_name(self) -> str:
        """The name with the suffix that SQS asks of a FIFO queue."""
        return f"{self.name}.fifo" if self.fifo else self.name

    def create_arguments(
        self, *, prefix: str = "", gives_up_to_arn: str | None = None
    ) -> dict[str, Any]:
        """Return what `create_queue` of a boto3 client takes.

        Args:
            prefix: Goes before the queue's name.
            gives_up_to_arn: ARN of the queue made of `gives_up_to`, if there is one.
        """
        attributes = {
            "VisibilityTimeout": _seconds(self.visibility),
            "MessageRetentionPeriod": _seconds(self.retention),
        }
        if self.fifo:
            attributes["FifoQueue"] = "true"
        if gives_up_to_arn is not None:
            attributes["RedrivePolicy"] = json.dumps(
                {"deadLetterTargetArn": gives_up_to_arn, "maxReceiveCount": self.receives_max}
            )
        return {"QueueName": prefix + self.full_name, "Attributes": attributes}


def _seconds(duration: timedelta) -> str:
    return str(duration // timedelta(seconds=1))


DUE = Index(
    name="due",
    partition_key=Attribute("due_shard", "N"),
    sort_key=Attribute("due_at", "N"),
    # All that a visit needs, so that it reads no job.
    carries=(
        "incarnation",
        "revision",
        "schedule_revision",
        "schedule",
        "policy",
        "ordinal",
        "resumed_at",
        "created_at",
    ),
)
"""The active jobs of a shard, by the slot they are at."""

JOBS = Index(
    name="jobs",
    partition_key=Attribute("tenant", "S"),
    sort_key=Attribute("job_id", "S"),
    # Nothing that a claim writes, so that a claim costs nothing here.
    carries=(),
)
"""The jobs of a tenant, by id."""

FAILED = Index(
    name="failed",
    partition_key=Attribute("failed_in", "S"),
    sort_key=Attribute("failed_at", "N"),
    carries=("state",),
)
"""The runs that did not succeed: of a tenant, a day and one of eight parts, by time.

Only an outcome puts a run here, so a healthy run costs nothing. It is there from the first
deployment on because CloudFormation adds indexes to a table one at a time.
"""

TABLE = TableDefinition(
    partition_key=Attribute("pk", "S"),
    sort_key=Attribute("sk", "S"),
    ttl_attribute="ttl",
    indexes=(DUE, JOBS, FAILED),
)

TICK_TIMEOUT = timedelta(seconds=60)
"""It waits between its messages, half a minute in all."""
DISPATCH_TIMEOUT = timedelta(seconds=60)
"""It takes up nothing new ten seconds before: the next tick has the rest."""
FAST_TIMEOUT = timedelta(seconds=45)
"""A call of at most 30 s, and the time to start it and to write how it ended."""
SLOW_TIMEOUT = timedelta(minutes=15)
"""As long as a function may run; a call takes at most 14 minutes of it."""
DEAD_LETTERS_TIMEOUT = timedelta(seconds=30)
API_TIMEOUT = timedelta(seconds=29)
"""One second less than the HTTP API waits, so that it is we who answer."""

DEAD_LETTERS = QueueDefinition(
    name="dead-letters",
    # Nothing reads it but people.
    visibility=timedelta(seconds=30),
    retention=timedelta(days=14),
)
"""Where bodies rest whose run got its outcome without them, or that name no run at all."""

EXHAUSTED = QueueDefinition(
    name="exhausted",
    visibility=6 * DEAD_LETTERS_TIMEOUT,
    # A message brings along the age it had in the queue that gave up on it.
    retention=timedelta(days=14),
    # About an hour of a store out of reach; the watch has the run in any case.
    receives_max=20,
    gives_up_to=DEAD_LETTERS,
)
"""What the run queues gave up on, for the function that records outcomes."""

_RECEIVES_MAX = 50
"""Far above any retry policy: attempts are counted in the run, not by the queue."""

_RUN_RETENTION = timedelta(days=1)
"""Longer than `_RECEIVES_MAX` deliveries to a reader that dies each time take, so that such a
message ends as a dead letter. No longer, as the watch sends anew what is open: an outage of the
executors must not leave days of copies."""

FAST = QueueDefinition(
    name="fast",
    # Six times what the function may take, as Lambda advises: it may have to be started anew.
    visibility=6 * FAST_TIMEOUT,
    retention=_RUN_RETENTION,
    receives_max=_RECEIVES_MAX,
    gives_up_to=EXHAUSTED,
)
"""Runs whose call takes 30 s at most."""

SLOW = QueueDefinition(
    name="slow",
    # Just over what the function may take. Six times that would let a run whose executor died
    # wait for 90 minutes; a message that is received twice meets a live lease and is hidden.
    visibility=SLOW_TIMEOUT + timedelta(minutes=1),
    retention=_RUN_RETENTION,
    receives_max=_RECEIVES_MAX,
    gives_up_to=EXHAUSTED,
)
"""Runs whose call may take up to 14 minutes."""

SHARDS = QueueDefinition(
    name="shards",
    # Senders name each message by minute and group, which makes a doubled tick harmless. Bodies
    # would not do for that: they are the same every minute.
    fifo=True,
    visibility=DISPATCH_TIMEOUT + timedelta(seconds=5),
    # The tick after next asks for the same work, so an older message has nothing to say, and
    # there is no queue to give it up to.
    retention=timedelta(minutes=2),
)
"""Groups of shards to be dispatched, one message of each at a time."""

QUEUES: Mapping[str, QueueDefinition] = {
    queue.name: queue for queue in (DEAD_LETTERS, EXHAUSTED, FAST, SLOW, SHARDS)
}
"""Every queue by its name, each after the one it gives up to."""
