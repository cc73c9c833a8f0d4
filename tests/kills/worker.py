"""One worker of a function, as an operating system process: `python -m tests.kills.worker`.

It does what Lambda does around a handler: takes a batch from the function's queue, calls the
handler, and deletes what that does not hand back. The handler and its wiring are those that are
deployed; where the table and the queues are comes from the environment.
"""

import argparse
import importlib
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from botocore.exceptions import BotoCoreError, ClientError

from punctual.core.errors import PunctualError
from punctual.runtime import wiring

POLL_SECONDS = 1

BATCH_MAX = 10

FUNCTIONS = ("tick", "dispatch", "execute", "dead_letters")

Handler = Callable[[dict[str, Any], "Context"], Any]


class Context:
    """What Lambda tells a function about an invocation that begins now and may take so long."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:function"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def __init__(self, life: timedelta) -> None:
        self._ends = time.monotonic() + life.total_seconds()

    def get_remaining_time_in_millis(self) -> int:
        """See `runtime.events.Context`."""
        return max(0, round((self._ends - time.monotonic()) * 1000))


def consume(handler: Handler, *, queue_url: str, life: timedelta) -> None:
    """Handle what a queue holds, for ever; an invocation that fails leaves its messages there."""
    while True:
        try:
            messages = _receive(queue_url)
            if messages:
                _handle(messages, handler, queue_url=queue_url, context=Context(life))
        except (BotoCoreError, ClientError, PunctualError):
            traceback.print_exc()


def _receive(queue_url: str) -> list[dict[str, Any]]:
    response = wiring.sqs().receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=BATCH_MAX, WaitTimeSeconds=POLL_SECONDS
    )
    return [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
        }
        for message in response.get("Messages", [])
    ]


def _handle(
    records: list[dict[str, Any]], handler: Handler, *, queue_url: str, context: Context
) -> None:
    kept = _kept(handler({"Records": records}, context))
    done = [record for record in records if record["messageId"] not in kept]
    # Of an invocation that took too long nothing is deleted: Lambda counts it as failed.
    if done and context.get_remaining_time_in_millis():
        wiring.sqs().delete_message_batch(
            QueueUrl=queue_url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": record["receiptHandle"]}
                for number, record in enumerate(done)
            ],
        )


def _kept(answer: Mapping[str, Any]) -> set[str]:
    return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}


def tick(handler: Handler, *, since: datetime, period: timedelta, life: timedelta) -> None:
    """Tick for ever, once a period and each time for another minute.

    Which one follows from the clock, so that a worker started anew doubles a tick at most.
    """
    for number in _periods(since, period):
        minute = since + timedelta(minutes=number)
        try:
            handler({"time": minute.strftime("%Y-%m-%dT%H:%M:%SZ")}, Context(life))
        except PunctualError:
            traceback.print_exc()


def _periods(since: datetime, period: timedelta) -> Iterator[int]:
    while True:
        number, spent = divmod(datetime.now(UTC) - since, period)
        yield number
        time.sleep((period - spent).total_seconds())


def main() -> None:
    """Read the command line and work."""
    parser = argparse.ArgumentParser(prog="worker", description=__doc__)
    parser.add_argument("function", choices=FUNCTIONS)
    parser.add_argument("--queue", help="address of the queue that feeds it")
    parser.add_argument("--life", type=float, required=True, help="seconds of an invocation")
    parser.add_argument("--start", type=float, help="seconds it must have left to start a run")
    parser.add_argument("--since", type=datetime.fromisoformat, help="when ticks began")
    parser.add_argument("--period", type=float, help="seconds between ticks")
    options = parser.parse_args()
    handler = importlib.import_module(f"functions.{options.function}.handler").lambda_handler
    life = timedelta(seconds=options.life)
    if options.function == "tick":
        tick(handler, since=options.since, period=timedelta(seconds=options.period), life=life)
    elif options.start is None:
        consume(handler, queue_url=options.queue, life=life)
    else:
        # The one thing that is not as deployed: there a run is started only with the 35 s left
        # that the longest call of its lane needs, and then each takeover would take a minute.
        with patch.object(wiring, "longest_call", lambda: timedelta(seconds=options.start)):
            consume(handler, queue_url=options.queue, life=life)


if __name__ == "__main__":
    main()
