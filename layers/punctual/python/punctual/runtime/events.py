"""What AWS hands to the functions, read; and what it expects back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from punctual.adapters.sqs.bodies import UnreadableBody, read_run, read_shards_body
from punctual.core.instants import parse_instant
from punctual.core.watching import minute_of
from punctual.ports import DeadLetter, Message


class Context(Protocol):
    """The part of Lambda's context that is used."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how long this invocation may still take."""
        ...


def remaining(context: Context) -> timedelta:
    """Return how long this invocation may still take."""
    return timedelta(milliseconds=context.get_remaining_time_in_millis())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBatch:
    """Messages about runs, and those that are not."""

    messages: tuple[tuple[Message, str], ...]
    """Each with its body."""
    unreadable: tuple[tuple[str, DeadLetter], ...]
    """What no version of ours wrote, by message id."""
    message_ids: Mapping[str, str] = field(repr=False)
    """Message ids by receipt: a receipt names a delivery, an id what the queue is answered."""

    def failures(
        self, kept: Iterable[Message], *, unreadable: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Answer the event source: these come again, and it deletes the others."""
        ids = [*(self.message_ids[message.receipt] for message in kept), *unreadable]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in ids]}


def read_runs(event: Mapping[str, Any]) -> RunBatch:
    """Read a batch of a run queue, or of the queue that takes its exhausted messages."""
    messages: list[tuple[Message, str]] = []
    unreadable: list[tuple[str, DeadLetter]] = []
    for record in event["Records"]:
        body = record["body"]
        try:
            key, handed_over = read_run(body)
        except UnreadableBody as error:
            unreadable.append((record["messageId"], DeadLetter(body=body, reason=str(error))))
        else:
            message = Message(
                key=key,
                receipt=record["receiptHandle"],
                handed_over=handed_over if _comes_first(record) else None,
            )
            messages.append((message, body))
    return RunBatch(
        messages=tuple(messages),
        unreadable=tuple(unreadable),
        message_ids={record["receiptHandle"]: record["messageId"] for record in event["Records"]},
    )


def _comes_first(record: Mapping[str, Any]) -> bool:
    """Say whether a message was never received before: what it says of its row may still be so.

    A later delivery mostly finds a row that was started by an earlier one.
    """
    return bool(record.get("attributes", {}).get("ApproximateReceiveCount") == "1")


def read_shards(event: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Read a batch of the shard queue: shards by message id; an unreadable message has none."""
    groups: dict[str, tuple[int, ...]] = {}
    for record in event["Records"]:
        try:
            groups[record["messageId"]] = read_shards_body(record["body"])
        except UnreadableBody:
            groups[record["messageId"]] = ()
    return groups


def read_minute(event: Mapping[str, Any], *, now: datetime) -> datetime:
    """Return the minute that a tick is for.

    The schedule writes it as `time`, so that a delivery that is doubled or late names its own
    minute. One without a readable time counts as of now.
    """
    try:
        return minute_of(parse_instant(event["time"]))
    except (KeyError, TypeError, ValueError):
        return minute_of(now.astimezone(UTC))
