"""The functions as they are deployed, called from here: environment, events, the time they see."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from infra.definitions import FAST_TIMEOUT
from punctual.core.calls import Answer, Call
from punctual.core.sharding import group_count, shards_of_group

Json = dict[str, Any]

REGION = "eu-central-1"

BATCH = 10
"""Messages that Lambda hands to an executor at once."""

SHARDS_PER_MESSAGE = 16

BODY = b'{"ok":true,"rows":1234,"note":"' + 67 * b"x" + b'"}'

OK = Answer(status_code=200, content_type="application/json", body=BODY, body_bytes=len(BODY))
"""An answer of 100 bytes."""


def variables(
    *, table: str = "punctual", queue_urls: dict[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of every function together.

    Args:
        table: The table's name.
        queue_urls: By name; None for those that an account would have.
    """
    urls = queue_urls or {
        name: f"https://sqs.{REGION}.amazonaws.com/111122223333/punctual-{name}"
        for name in ("fast", "slow", "dead-letters", "shards")
    }
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "POWERTOOLS_METRICS_NAMESPACE": "Punctual",
        "POWERTOOLS_SERVICE_NAME": "benchmark",
        "TABLE_NAME": table,
        "FAST_QUEUE_URL": urls["fast"],
        "SLOW_QUEUE_URL": urls["slow"],
        "DEAD_QUEUE_URL": urls["dead-letters"],
        "SHARD_QUEUE_URL": urls["shards"],
        "PUBLIC_URL": "https://punctual.example",
        "EXTERNAL_ID": "punctual:benchmark",
        "RESULTS_BUCKET": "results",
        "CURSOR_SECRET_ARN": f"arn:aws:secretsmanager:{REGION}:111122223333:secret:cursors",
        "SHARDS_PER_MESSAGE": str(SHARDS_PER_MESSAGE),
        "LANE": "fast",
        "ALLOW_PRIVATE_TARGETS": "true",
    }


class Context:
    """Lambda's context object; there is always all the time that a function gets."""

    function_name = "benchmark"
    memory_limit_in_mb = 512
    invoked_function_arn = f"arn:aws:lambda:{REGION}:111122223333:function:benchmark"
    aws_request_id = "11111111-2222-4333-8444-555555555555"

    def get_remaining_time_in_millis(self) -> int:
        """Return the timeout of an executor."""
        return FAST_TIMEOUT // timedelta(milliseconds=1)


class InstantTargets:
    """Fills `Targets`: every call is answered at once, with 200."""

    def __init__(self) -> None:
        self._launched: list[Call] = []

    def launch(self, calls: Sequence[Call]) -> None:
        """See `Targets.launch`."""
        self._launched += calls

    def collect(self, *, wait: timedelta) -> Sequence[tuple[Call, Answer]]:  # noqa: ARG002
        """See `Targets.collect`."""
        answered, self._launched = self._launched, []
        return [(call, OK) for call in answered]

    def abort(self, call: Call, *, leave: bool = False) -> None:
        """See `Targets.abort`; no call is ever going on."""


def wake_ups() -> list[Json]:
    """Return the events by which one tick reaches the dispatchers."""
    groups = range(group_count(shards_per_message=SHARDS_PER_MESSAGE))
    bodies = [shards_of_group(group, shards_per_message=SHARDS_PER_MESSAGE) for group in groups]
    return [
        event([json.dumps({"v": 1, "shards": [body.start, body.stop]})], queue="shards")
        for body in bodies
    ]


def event(bodies: Sequence[str], *, queue: str) -> Json:
    """Return what Lambda makes of messages of a queue."""
    return {
        "Records": [
            {
                "messageId": f"{number:08}-0000-4000-8000-000000000000",
                "receiptHandle": f"AQEBexample{number:04}==",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1796115450001",
                    "SenderId": "AROAEXAMPLEEXAMPLE12:punctual-dispatch",
                    "ApproximateFirstReceiveTimestamp": "1796115600001",
                },
                "messageAttributes": {},
                "md5OfBody": "91a2eea1de1d3a0fe767ae1206fb1bfe",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:111122223333:punctual-{queue}",
                "awsRegion": REGION,
            }
            for number, body in enumerate(bodies)
        ]
    }


def batches(messages: Sequence[tuple[str, int]], *, now: datetime) -> list[tuple[datetime, Json]]:
    """Return when each batch of an executor arrives, and its event, earliest first.

    Args:
        messages: Body and delay in seconds of each; those with the same delay arrive together.
        now: When all of them were sent.
    """
    by_delay: dict[int, list[str]] = {}
    for body, delay in messages:
        by_delay.setdefault(delay, []).append(body)
    return [
        (now + timedelta(seconds=delay), event(bodies[first : first + BATCH], queue="fast"))
        for delay, bodies in sorted(by_delay.items())
        for first in range(0, len(bodies), BATCH)
    ]


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Let this process be a function's: its variables, and nothing of the machine's own account."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    elsewhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    with patch.dict(os.environ, own | elsewhere | values, clear=True):
        yield
