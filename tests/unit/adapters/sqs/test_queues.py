"""Delays, batches and partial failures of the queues."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from mypy_boto3_sqs import SQSClient

from punctual.adapters.sqs.bodies import run_body, shards_body
from punctual.adapters.sqs.dead_letter_box import SqsDeadLetterBox
from punctual.adapters.sqs.run_queue import SqsRunQueue
from punctual.adapters.sqs.shard_queue import SqsShardQueue
from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import Lane
from punctual.ports import DeadLetter, Message, Outgoing
from tests.support.builders import a_run
from tests.support.clock import NINE, FakeClock

URLS = {Lane.FAST: "https://sqs.example/fast", Lane.SLOW: "https://sqs.example/slow"}


@pytest.fixture
def client() -> SQSClient:
    return boto3.client(
        "sqs", region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


@pytest.fixture
def stubber(client: SQSClient) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def queue(client: SQSClient) -> SqsRunQueue:
    return SqsRunQueue(client, urls=URLS, clock=FakeClock(), receives=Lane.SLOW)


def key(name: int) -> RunKey:
    return RunKey(JobKey("acme", "report"), 1, str(name))


def outgoing(name: int, *, lane: Lane = Lane.FAST) -> Outgoing:
    return Outgoing(key=key(name), lane=lane, at=NINE)


def successful(*names: int) -> list[dict[str, str]]:
    return [{"Id": str(name), "MessageId": "m", "MD5OfMessageBody": "0"} for name in names]


def failed(*names: int) -> list[dict[str, Any]]:
    return [{"Id": str(name), "SenderFault": False, "Code": "InternalError"} for name in names]


def add_send(stubber: Stubber, url: str, entries: Any, response: dict[str, Any]) -> None:
    stubber.add_response(
        "send_message_batch",
        {"Successful": [], "Failed": []} | response,
        {"QueueUrl": url, "Entries": entries},
    )


@pytest.mark.parametrize(
    ("ahead_ms", "slot_delay", "retry_delay"),
    [
        (-5_000, 0, 0),
        (1, 0, 1),
        (89_999, 89, 90),
        (90_000, 90, 90),
        (900_500, 900, 900),
    ],
)
def test_a_message_is_delayed_by_whole_seconds(
    queue: SqsRunQueue, stubber: Stubber, ahead_ms: int, slot_delay: int, retry_delay: int
) -> None:
    """That of a slot is never late, and its executor waits; that of a retry never comes too early.

    A start that does is refused, paid for, and made again two seconds later.
    """
    at = NINE + timedelta(milliseconds=ahead_ms)
    first, retry = a_run(at), a_run(NINE - timedelta(minutes=1), state="retrying")
    entries = [
        {"Id": str(number), "MessageBody": run_body(run.key), "DelaySeconds": delay_seconds}
        for number, (run, delay_seconds) in enumerate([(first, slot_delay), (retry, retry_delay)])
    ]
    add_send(stubber, URLS[Lane.FAST], entries, {"Successful": successful(0, 1)})

    messages = [Outgoing(key=run.key, lane=run.lane, at=at) for run in (first, retry)]
    assert queue.send(messages) == [True, True]


def test_a_message_says_what_its_row_was_handed_over_with(
    queue: SqsRunQueue, stubber: Stubber
) -> None:
    run = a_run()
    entry = {
        "Id": "0",
        "MessageBody": run_body(run.key, run),
        "DelaySeconds": 0,
    }
    add_send(stubber, URLS[Lane.FAST], [entry], {"Successful": successful(0)})

    assert queue.send([Outgoing(key=run.key, lane=run.lane, at=NINE, handed_over=run)]) == [True]


def test_ten_messages_share_a_request_and_each_lane_has_its_queue(
    queue: SqsRunQueue, stubber: Stubber
) -> None:
    messages = [outgoing(n, lane=Lane.SLOW if n == 3 else Lane.FAST) for n in range(12)]
    fast = [n for n in range(12) if n != 3]
    add_send(stubber, URLS[Lane.FAST], ANY, {"Successful": successful(*fast[:10])})
    add_send(stubber, URLS[Lane.FAST], ANY, {"Successful": successful(*fast[10:])})
    add_send(stubber, URLS[Lane.SLOW], ANY, {"Successful": successful(3)})

    assert queue.send(messages) == [True] * 12


def test_every_tenant_has_a_group_whatever_its_name(client: SQSClient, stubber: Stubber) -> None:
    """Groups take 128 characters of a narrow set, and one that is refused fails ten messages."""
    queue = SqsRunQueue(client, urls=URLS, clock=FakeClock(), fair=True)
    entries: list[dict[str, Any]] = []
    client.meta.events.register(
        "provide-client-params.sqs.SendMessageBatch",
        lambda params, **_: entries.extend(params["Entries"]),
    )
    add_send(stubber, URLS[Lane.FAST], ANY, {"Successful": successful(0, 1, 2, 3)})

    queue.send(
        [
            Outgoing(key=RunKey(JobKey(tenant, "report"), 1, "x"), lane=Lane.FAST, at=NINE)
            for tenant in ("acme", "acme", "Bänk & Söhne", "t" * 500)
        ]
    )

    groups = [entry["MessageGroupId"] for entry in entries]
    assert all(re.fullmatch(r"[0-9a-f]{16}", group) for group in groups)
    assert groups[0] == groups[1]
    assert len(set(groups)) == 3


def test_a_message_that_the_queue_did_not_take_is_told_from_the_others(
    queue: SqsRunQueue, stubber: Stubber
) -> None:
    add_send(stubber, URLS[Lane.FAST], ANY, {"Successful": successful(0, 2), "Failed": failed(1)})

    assert queue.send([outgoing(n) for n in range(3)]) == [True, False, True]


def test_after_a_request_without_an_answer_nothing_more_is_sent(
    queue: SqsRunQueue, stubber: Stubber
) -> None:
    """A send may have been applied; it is not repeated here, for the visit is done again."""
    add_send(stubber, URLS[Lane.FAST], ANY, {"Successful": successful(*range(10))})
    stubber.add_client_error("send_message_batch", "ServiceUnavailable")

    assert queue.send([outgoing(n) for n in range(30)]) == [True] * 10 + [False] * 20


def test_hidden_messages_return_to_their_own_lane_and_not_too_early(
    queue: SqsRunQueue, stubber: Stubber
) -> None:
    messages = [Message(key=key(n), receipt=f"r{n}") for n in range(4)]
    waits = [timedelta(milliseconds=1001), timedelta(0), timedelta(hours=9), timedelta(seconds=-9)]
    entries = [
        {"Id": str(n), "ReceiptHandle": f"r{n}", "VisibilityTimeout": seconds}
        for n, seconds in enumerate([2, 0, 3600, 0])
    ]
    stubber.add_response(
        "change_message_visibility_batch",
        {"Successful": [], "Failed": failed(1)},
        {"QueueUrl": URLS[Lane.SLOW], "Entries": entries},
    )

    queue.hide([(m, NINE + wait) for m, wait in zip(messages, waits, strict=True)])


def test_messages_that_cannot_be_hidden_are_left_to_their_visibility(
    queue: SqsRunQueue, stubber: Stubber
) -> None:
    stubber.add_client_error("change_message_visibility_batch", "RequestThrottled")

    queue.hide([(Message(key=key(0), receipt="r"), NINE)])


def test_every_group_is_woken_once_a_minute(client: SQSClient, stubber: Stubber) -> None:
    shards = SqsShardQueue(client, url="https://sqs.example/shards.fifo", shards_per_message=5)
    portions = (range(10), range(10, 13))
    for numbers in portions:
        entries = [
            {
                "Id": str(group),
                "MessageBody": shards_body(range(group * 5, min(group * 5 + 5, 64))),
                "MessageGroupId": str(group),
                "MessageDeduplicationId": f"20261201T0900:{group}",
            }
            for group in numbers
        ]
        response = {"Successful": successful(*numbers)}
        add_send(stubber, "https://sqs.example/shards.fifo", entries, response)

    assert [shards.wake(groups, minute=NINE) for groups in portions] == [10, 3]


def test_a_group_that_was_not_surely_woken_is_not_counted(
    client: SQSClient, stubber: Stubber
) -> None:
    shards = SqsShardQueue(client, url="https://sqs.example/s.fifo", shards_per_message=16)
    response = {"Successful": successful(0, 1, 2), "Failed": failed(3)}
    add_send(stubber, "https://sqs.example/s.fifo", ANY, response)

    stubber.add_client_error("send_message_batch", "RequestThrottled")

    assert shards.wake(range(4), minute=NINE) == 3
    assert shards.wake(range(4), minute=NINE) == 0


def test_dead_letters_rest_as_they_came_with_the_reason_beside(
    client: SQSClient, stubber: Stubber
) -> None:
    box = SqsDeadLetterBox(client, url="https://sqs.example/dead")
    letters = [DeadLetter(body=f"body {n}", reason="poison") for n in range(11)]
    first = [
        {
            "Id": str(n),
            "MessageBody": f"body {n}",
            "MessageAttributes": {"reason": {"DataType": "String", "StringValue": "poison"}},
        }
        for n in range(10)
    ]
    response = {"Successful": successful(*range(9)), "Failed": failed(9)}
    add_send(stubber, "https://sqs.example/dead", first, response)
    stubber.add_client_error("send_message_batch", "ServiceUnavailable")

    assert box.keep(letters) == [True] * 9 + [False, False]
