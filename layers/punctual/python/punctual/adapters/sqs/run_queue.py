"""The run queue of each lane, over SQS standard queues."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from punctual.adapters.sqs.bodies import run_body
from punctual.adapters.sqs.errors import queue_errors
from punctual.core.errors import StoreUnavailable
from punctual.core.jobs import Lane
from punctual.ports import Clock, Message, Outgoing

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

T = TypeVar("T")

ENTRIES_MAX = 10
"""Messages of one request."""

DELAY_MAX = timedelta(seconds=900)
"""The longest that SQS delays a message."""

HIDE_MAX = timedelta(hours=1)

SECOND = timedelta(seconds=1)


class SqsRunQueue:
    """Fills `RunQueue`, where Lambda receives the messages and deletes those it is not handed back.

    Give it a client that does not retry: a send whose answer was lost is not repeated, since what
    was not surely sent is handed over again anyway.
    """

    def __init__(
        self,
        client: "SQSClient",
        *,
        urls: Mapping[Lane, str],
        clock: Clock,
        receives: Lane = Lane.FAST,
        fair: bool = False,
    ) -> None:
        """Bind the queues.

        Args:
            client: A low-level client.
            urls: The queue of each lane.
            clock: Delays count from its now.
            receives: The lane whose messages are hidden here: the executor's own.
            fair: Whether messages name their tenant's group, so that no tenant's burst makes others
                wait. SQS charges for each that does.
        """
        self._client = client
        self._urls = urls
        self._clock = clock
        self._receives = receives
        self._fair = fair

    def send(self, messages: Sequence[Outgoing]) -> Sequence[bool]:
        """See `RunQueue.send`; after a request without an answer nothing more is sent."""
        sent = [False] * len(messages)
        for lane, url in self._urls.items():
            indexes = [index for index, message in enumerate(messages) if message.lane is lane]
            for chunk in _chunks(indexes):
                try:
                    done = self._send(url, {index: messages[index] for index in chunk})
                except StoreUnavailable:
                    return sent
                for index in done:
                    sent[index] = True
        return sent

    def _send(self, url: str, messages: Mapping[int, Outgoing]) -> list[int]:
        """Send one request; return the numbers of those that the queue has."""
        now = self._clock.now()  # anew for every request: the delays count from here
        with queue_errors():
            response = self._client.send_message_batch(
                QueueUrl=url,
                Entries=[
                    self._entry(str(index), message, now=now) for index, message in messages.items()
                ],
            )
        return [int(entry["Id"]) for entry in response.get("Successful", ())]

    def _entry(
        self, number: str, message: Outgoing, *, now: datetime
    ) -> "SendMessageBatchRequestEntryTypeDef":
        entry: SendMessageBatchRequestEntryTypeDef = {
            "Id": number,
            "MessageBody": run_body(message.key, message.handed_over),
            "DelaySeconds": _delay_seconds(message, now=now),
        }
        if self._fair:
            entry["MessageGroupId"] = _fair_group(message.key.job.tenant)
        return entry

    def hide(self, messages: Sequence[tuple[Message, datetime]]) -> None:
        """See `RunQueue.hide`; a message that cannot be hidden returns when its visibility ends."""
        for chunk in _chunks(messages):
            try:
                self._hide(chunk)
            except StoreUnavailable:
                return

    def _hide(self, messages: Sequence[tuple[Message, datetime]]) -> None:
        now = self._clock.now()
        with queue_errors():
            self._client.change_message_visibility_batch(
                QueueUrl=self._urls[self._receives],
                Entries=[
                    {
                        "Id": str(number),
                        "ReceiptHandle": message.receipt,
                        "VisibilityTimeout": _hidden_seconds(until, now=now),
                    }
                    for number, (message, until) in enumerate(messages)
                ],
            )

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """See `RunQueue.acknowledge`: Lambda deletes what the handler does not hand back."""


@lru_cache(maxsize=1024)
def _fair_group(tenant: str) -> str:
    """Return the group that makes a standard queue fair: no tenant's burst makes others wait.

    A digest, since a tenant's name may hold characters that a group's may not.
    """
    return hashlib.sha256(tenant.encode()).hexdigest()[:16]


def _delay_seconds(message: Outgoing, *, now: datetime) -> int:
    """Return whole seconds: rounded down for a slot, which the executor reads from the key.

    It waits for the rest. Of a retry it knows the instant only once a start was refused, so those
    seconds are rounded up.
    """
    delay = min(message.at - now, DELAY_MAX)
    return max(0, delay // SECOND if message.at == message.key.slot else -(-delay // SECOND))


def _hidden_seconds(until: datetime, *, now: datetime) -> int:
    """Return whole seconds, rounded up: before `until` there is nothing to do."""
    return max(0, -(-min(until - now, HIDE_MAX) // SECOND))


def _chunks(things: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(things)
    while chunk := list(islice(rest, ENTRIES_MAX)):
        yield chunk
