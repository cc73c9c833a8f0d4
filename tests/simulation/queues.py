"""SQS queues in memory: delays, visibility, redrive, and what standard queues may do besides.

A standard queue delivers at least once and in any order; how far it goes in that, and what it loses
against its word, is decided from outside.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.definitions import QueueDefinition
from tests.simulation.expressions import Invalid, Unsupported

Json = dict[str, Any]

ENTRIES_MAX = 10
DELAY_MAX_SECONDS = 900
VISIBILITY_MAX_SECONDS = 43_200
SAME_WITHIN_MS = 300_000
"""A FIFO queue drops a message whose deduplication id it had within five minutes."""


@dataclass(slots=True, kw_only=True)
class Queued:
    """A message in a queue."""

    number: int
    message_id: str
    body: str
    group: str | None
    sent_at: int
    visible_at: int
    receives: int = 0
    receipt: str | None = None
    """Names the last delivery; None before the first."""

    def in_flight(self, now: int) -> bool:
        """Say whether a delivery of it is going on."""
        return self.receipt is not None and self.visible_at > now


@dataclass(kw_only=True)
class SimulatedQueue:
    """One queue."""

    definition: QueueDefinition
    gives_up_to: "SimulatedQueue | None" = None
    copies: Callable[[str, int], list[int]] = lambda _queue, _number: [0]
    """The extra delay in milliseconds of every copy of a sent message: none for one that is lost,
    several for one that is doubled. Called with the queue's name and the message's number."""
    wanted: Callable[[str], bool] = lambda _: True
    """Whether anybody has a use for a body; one that nobody has vanishes."""
    arrived: Callable[[int], None] = lambda _at: None
    """Called with the instant at which something is there to be received."""
    messages: dict[int, Queued] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sent = 0
        self._stored = 0
        self._receipts: dict[str, Queued] = {}
        self._seen: dict[str, int] = {}
        self.bodies: dict[str, None] = {}
        """Every body that was ever sent, oldest first."""

    @property
    def name(self) -> str:
        """The name in the definitions."""
        return self.definition.name

    def send(self, entry: Json, *, now: int) -> Json:
        """Take one entry of a send; return its part of the answer."""
        delay = entry.get("DelaySeconds", 0)
        if not 0 <= delay <= DELAY_MAX_SECONDS:
            raise Invalid("a delay is 0 to 900 seconds")
        self._sent += 1
        message_id = f"{self.name}-{self._sent}"
        answer = {"Id": entry["Id"], "MessageId": message_id, "MD5OfMessageBody": ""}
        copies = [0] if self.definition.fifo else self.copies(self.name, self._sent)
        if not self.wanted(entry["MessageBody"]):
            return answer
        if self.definition.fifo:
            if delay:
                raise Invalid("a FIFO queue delays no single message")
            if self._is_repeated(entry["MessageDeduplicationId"], now=now):
                return answer
        for extra in copies:
            self.put(
                entry["MessageBody"],
                message_id=message_id,
                group=entry.get("MessageGroupId"),
                visible_at=now + delay * 1000 + extra,
                now=now,
            )
        return answer

    def put(
        self, body: str, *, message_id: str, group: str | None, visible_at: int, now: int
    ) -> None:
        """Store a message."""
        self._stored += 1
        self.bodies[body] = None
        self.messages[self._stored] = Queued(
            number=self._stored,
            message_id=message_id,
            body=body,
            group=group,
            sent_at=now,
            visible_at=visible_at,
        )
        self.arrived(visible_at)

    def _is_repeated(self, deduplication_id: str, *, now: int) -> bool:
        seen_at = self._seen.get(deduplication_id)
        if seen_at is not None and now - seen_at < SAME_WITHIN_MS:
            return True
        self._seen[deduplication_id] = now
        return False

    def purge(self) -> None:
        """Lose everything."""
        self.messages.clear()

    def receive(self, *, limit: int, now: int) -> list[Queued]:
        """Deliver up to `limit` messages, and keep them out of sight for a while."""
        self._forget_old(now)
        received: list[Queued] = []
        for message in self._deliverable(now):
            if len(received) == limit:
                break
            if message.receives == self.definition.receives_max:
                self._give_up(message, now=now)
                continue
            message.receives += 1
            message.receipt = f"{message.number}.{message.receives}@{self.name}"
            message.visible_at = now + _milliseconds(self.definition.visibility)
            self._receipts[message.receipt] = message
            received.append(message)
            self.arrived(message.visible_at)
        return received

    def _deliverable(self, now: int) -> list[Queued]:
        """Return what may be delivered, in order.

        A FIFO queue's order is that of sending, and nothing of a group is delivered while anything
        of it is in flight.
        """
        visible = [m for m in self.messages.values() if m.visible_at <= now]
        if not self.definition.fifo:
            return sorted(visible, key=lambda m: (m.visible_at, m.number))
        busy = {m.group for m in self.messages.values() if m.in_flight(now)}
        return [m for m in visible if m.group not in busy]

    def _give_up(self, message: Queued, *, now: int) -> None:
        assert self.gives_up_to is not None, "a queue with a bound gives up to another"
        del self.messages[message.number]
        self.gives_up_to.put(
            message.body,
            message_id=message.message_id,
            group=message.group,
            visible_at=now,
            now=now,
        )

    def _forget_old(self, now: int) -> None:
        oldest = now - _milliseconds(self.definition.retention)
        for message in [m for m in self.messages.values() if m.sent_at < oldest]:
            del self.messages[message.number]

    def hide(self, receipt: str, *, seconds: int, now: int) -> bool:
        """Show a message again in a while; False when the receipt is not its last delivery's."""
        if not 0 <= seconds <= VISIBILITY_MAX_SECONDS:
            raise Invalid("a message is hidden for 0 to 43200 seconds")
        message = self._held(receipt)
        if message is None or not message.in_flight(now):
            return False
        message.visible_at = now + seconds * 1000
        self.arrived(message.visible_at)
        return True

    def delete(self, receipt: str) -> Queued | None:
        """Delete a message; None when it has gone or was delivered once more since."""
        message = self._held(receipt)
        if message is not None:
            del self.messages[message.number]
        return message

    def _held(self, receipt: str) -> Queued | None:
        message = self._receipts.get(receipt)
        if message is None or message.receipt != receipt or message.number not in self.messages:
            return None
        return message

    def next_visible_at(self) -> int | None:
        """Return when something is there to be received; None for an empty queue."""
        return min((message.visible_at for message in self.messages.values()), default=None)


def _milliseconds(duration: Any) -> int:
    return int(duration.total_seconds() * 1000)


@dataclass(kw_only=True)
class SimulatedQueues:
    """Every queue, and the operations on them."""

    by_url: Mapping[str, SimulatedQueue]

    def execute(
        self,
        operation: str,
        request: Json,
        *,
        now: int,
        fails: Callable[[int], bool] = lambda _: False,
    ) -> Json:
        """Answer one request.

        Args:
            operation: Such as `SendMessageBatch`.
            request: Its body.
            now: Milliseconds since 1970.
            fails: Whether an entry, by its place, fails for load.

        Raises:
            Invalid: The service would call it a mistake.
            Unsupported: It is not known here.
        """
        queue = self.by_url[request["QueueUrl"]]
        entries = request.get("Entries", ())
        if not 0 < len(entries) <= ENTRIES_MAX:
            raise Invalid("a batch has 1 to 10 entries")
        answer: Json = {"Successful": [], "Failed": []}
        for place, entry in enumerate(entries):
            if fails(place):
                answer["Failed"].append(_failed(entry, "InternalError", at_sender=False))
                continue
            match operation:
                case "SendMessageBatch":
                    answer["Successful"].append(queue.send(entry, now=now))
                case "ChangeMessageVisibilityBatch":
                    seconds = entry["VisibilityTimeout"]
                    if queue.hide(entry["ReceiptHandle"], seconds=seconds, now=now):
                        answer["Successful"].append({"Id": entry["Id"]})
                    else:
                        answer["Failed"].append(_failed(entry, "ReceiptHandleIsInvalid"))
                case _:
                    raise Unsupported(operation)
        return answer


def _failed(entry: Json, code: str, *, at_sender: bool = True) -> Json:
    return {"Id": entry["Id"], "Code": code, "SenderFault": at_sender}
