"""Queues at scale: when a message is there, for whom, and how many at once."""

from typing import Any

import pytest

from benchmarks.scale import queues
from benchmarks.scale.queues import ScaleQueue
from infra.definitions import FAST, SHARDS

Json = dict[str, Any]

VISIBILITY = round(FAST.visibility.total_seconds() * 1000)


def send(queue: ScaleQueue, *bodies: str, now: int = 0, **fields: Any) -> None:
    entries = [{"Id": str(n), "MessageBody": body, **fields} for n, body in enumerate(bodies)]
    queue.execute("SendMessageBatch", {"Entries": entries}, now=now)


def wake(queue: ScaleQueue, name: str, *, group: str = "0", now: int = 0) -> None:
    send(queue, name, now=now, MessageGroupId=group, MessageDeduplicationId=name)


def bodies(queue: ScaleQueue, *, now: int, limit: int = 10) -> list[str]:
    return [message.body for message in queue.receive(limit=limit, now=now)]


def test_a_delayed_message_comes_when_its_seconds_have_passed() -> None:
    queue = ScaleQueue(definition=FAST)
    send(queue, "a", now=500, DelaySeconds=3)

    assert bodies(queue, now=3499) == []
    assert bodies(queue, now=3500) == ["a"]


def test_what_was_received_is_out_of_sight_until_its_visibility_ends() -> None:
    queue = ScaleQueue(definition=FAST)
    send(queue, "a")
    assert bodies(queue, now=0) == ["a"]

    assert bodies(queue, now=VISIBILITY - 1) == []
    assert bodies(queue, now=VISIBILITY) == ["a"]


def test_what_was_deleted_does_not_come_again() -> None:
    queue = ScaleQueue(definition=FAST)
    send(queue, "a", "b")
    first, _ = queue.receive(limit=10, now=0)

    queue.delete([first.receipt])

    assert queue.in_flight == 1
    assert bodies(queue, now=VISIBILITY) == ["b"]


def test_a_receipt_is_worth_nothing_once_the_message_came_again() -> None:
    queue = ScaleQueue(definition=FAST)
    send(queue, "a")
    (message,) = queue.receive(limit=10, now=0)
    old = message.receipt
    queue.receive(limit=10, now=VISIBILITY)

    queue.delete([old])

    assert bodies(queue, now=2 * VISIBILITY) == ["a"]


def test_a_hidden_message_comes_when_it_is_to_and_not_when_its_visibility_ends() -> None:
    queue = ScaleQueue(definition=FAST)
    send(queue, "a")
    (message,) = queue.receive(limit=10, now=0)

    entry = {"Id": "0", "ReceiptHandle": message.receipt, "VisibilityTimeout": 600}
    queue.execute("ChangeMessageVisibilityBatch", {"Entries": [entry]}, now=0)

    assert queue.in_flight == 0
    assert bodies(queue, now=VISIBILITY) == []
    assert bodies(queue, now=600_000) == ["a"]


def test_nothing_is_received_while_as_much_is_in_flight_as_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queues, "IN_FLIGHT_MAX", 3)
    queue = ScaleQueue(definition=FAST)
    send(queue, "a", "b", "c", "d")

    received = queue.receive(limit=10, now=0)
    assert len(received) == 3
    assert bodies(queue, now=1) == []
    queue.delete([received[0].receipt])
    assert bodies(queue, now=2) == ["d"]


def test_of_a_group_one_message_at_a_time_is_in_flight() -> None:
    queue = ScaleQueue(definition=SHARDS)
    wake(queue, "first")
    wake(queue, "second")
    wake(queue, "other", group="1")

    received = queue.receive(limit=1, now=0) + queue.receive(limit=1, now=0)

    assert [message.body for message in received] == ["first", "other"]
    assert bodies(queue, now=0) == []
    queue.delete([received[0].receipt])
    assert bodies(queue, now=0) == ["second"]


def test_a_doubled_tick_wakes_a_group_once() -> None:
    queue = ScaleQueue(definition=SHARDS)
    wake(queue, "09:00")
    wake(queue, "09:00", now=5000)

    assert queue.waiting(5000) == 1


def test_a_message_older_than_the_queue_keeps_it_is_gone() -> None:
    queue = ScaleQueue(definition=SHARDS)
    wake(queue, "09:00")

    assert bodies(queue, now=round(SHARDS.retention.total_seconds() * 1000) + 1) == []


def test_requests_and_what_fairness_is_paid_for_are_counted() -> None:
    queue = ScaleQueue(definition=FAST)
    send(queue, "a", "b", MessageGroupId="tenant")
    received = queue.receive(limit=10, now=0)
    queue.delete([message.receipt for message in received])

    assert queue.requests == {
        "SendMessageBatch": 1,
        "ReceiveMessage": 1,
        "DeleteMessageBatch": 1,
    }
    assert queue.fair == 2
