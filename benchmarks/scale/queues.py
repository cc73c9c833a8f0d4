"""SQS at scale: delays in whole seconds, visibility, and the bound of what is in flight."""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.scale.limits import IN_FLIGHT_MAX
from infra.definitions import QueueDefinition
from punctual.core.instants import MILLISECOND
from tests.simulation.expressions import Invalid, Unsupported
from tests.simulation.queues import DELAY_MAX_SECONDS, ENTRIES_MAX, SAME_WITHIN_MS

Json = dict[str, Any]


@dataclass(slots=True, eq=False)
class Sent:
    """A message in a queue. Instants are in milliseconds."""

    number: int
    body: str
    group: str | None
    sent_at: int
    visible_at: int
    """While it is in flight, when its visibility ends."""
    receives: int = 0
    gone: bool = False

    @property
    def receipt(self) -> str:
        """Names its last delivery."""
        return f"{self.number}.{self.receives}"


@dataclass(kw_only=True)
class ScaleQueue:
    """One queue, whose messages come in the order in which they become visible.

    What it gives up on is not simulated: it fails loudly instead.
    """

    definition: QueueDefinition
    requests: Counter[str] = field(default_factory=Counter)
    """By operation."""
    fair: int = 0
    """Messages sent to a standard queue with a group, which costs extra."""
    arrived: Callable[[int], None] = lambda _at: None
    """Called with the instant at which something is there to be received."""
    in_flight: int = 0
    in_flight_most: int = 0

    def __post_init__(self) -> None:
        self._delayed: list[tuple[int, int, Sent]] = []
        self._visible: deque[Sent] = deque()
        self._timeouts: deque[tuple[int, Sent]] = deque()
        """When the visibility of each delivery ends: it lasts as long for all of them."""
        self._held: dict[str, Sent] = {}
        """What is in flight, by receipt."""
        self._busy: set[str | None] = set()
        """Groups of a FIFO queue of which something is in flight."""
        self._seen: dict[str, int] = {}
        self._sent = 0
        self._visibility = self.definition.visibility // MILLISECOND
        self._retention = self.definition.retention // MILLISECOND

    def seed(self, body: str, *, visible_at: int) -> None:
        """Store a message that was sent before anything is measured, for nothing."""
        self._sent += 1
        self._show(Sent(self._sent, body, None, visible_at, visible_at))

    def execute(self, operation: str, request: Json, *, now: int) -> Json:
        """Answer one request of a function."""
        entries: Sequence[Json] = request["Entries"]
        if not 0 < len(entries) <= ENTRIES_MAX:
            raise Invalid("a batch has 1 to 10 entries")
        self.requests[operation] += 1
        for entry in entries:
            match operation:
                case "SendMessageBatch":
                    self._send(entry, now=now)
                case "ChangeMessageVisibilityBatch":
                    self._hide(entry["ReceiptHandle"], entry["VisibilityTimeout"], now=now)
                case _:
                    raise Unsupported(operation)
        return {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}

    def _send(self, entry: Json, *, now: int) -> None:
        delay = entry.get("DelaySeconds", 0)
        if not 0 <= delay <= DELAY_MAX_SECONDS:
            raise Invalid("a delay is 0 to 900 seconds")
        if self.definition.fifo:
            name = entry["MessageDeduplicationId"]
            if now - self._seen.get(name, -SAME_WITHIN_MS) < SAME_WITHIN_MS:
                return
            self._seen[name] = now
        group = entry.get("MessageGroupId")
        self.fair += group is not None and not self.definition.fifo
        self._sent += 1
        self._show(Sent(self._sent, entry["MessageBody"], group, now, now + delay * 1000))

    def _show(self, message: Sent) -> None:
        heapq.heappush(self._delayed, (message.visible_at, message.number, message))
        self.arrived(message.visible_at)

    def waiting(self, now: int) -> int:
        """Return how many messages are visible."""
        while self._timeouts and (self._timeouts[0][1].gone or self._timeouts[0][0] <= now):
            ends_at, message = self._timeouts.popleft()
            if not message.gone and message.visible_at == ends_at:  # else it was hidden since
                self._let_go(message)
                self._visible.append(message)
        while self._delayed and self._delayed[0][0] <= now:
            self._visible.append(heapq.heappop(self._delayed)[2])
        return len(self._visible)

    def next_at(self) -> int | None:
        """Return when the next message becomes visible that is not yet; None when none will."""
        return self._delayed[0][0] if self._delayed else None

    def receive(self, *, limit: int, now: int) -> list[Sent]:
        """Deliver up to `limit` messages; none when too many are in flight."""
        self.requests["ReceiveMessage"] += 1
        self.waiting(now)
        received: list[Sent] = []
        passed: list[Sent] = []
        while self._visible and len(received) < limit and self.in_flight < IN_FLIGHT_MAX:
            message = self._visible.popleft()
            if now - message.sent_at > self._retention:
                continue
            if self.definition.fifo and message.group in self._busy:
                passed.append(message)
                continue
            self._deliver(message, now=now)
            received.append(message)
        self._visible.extendleft(reversed(passed))
        return received

    def _deliver(self, message: Sent, *, now: int) -> None:
        message.receives += 1
        if self.definition.receives_max == message.receives:
            raise Unsupported("nothing is received so often that a queue gives it up")
        message.visible_at = now + self._visibility
        self._timeouts.append((message.visible_at, message))
        self._held[message.receipt] = message
        self._busy.add(message.group)
        self.in_flight += 1
        self.in_flight_most = max(self.in_flight_most, self.in_flight)

    def delete(self, receipts: Sequence[str]) -> None:
        """Delete what these deliveries brought, ten to a request."""
        for receipt in receipts:
            message = self._held.get(receipt)
            if message is not None:
                self._let_go(message)
                message.gone = True
                message.body = ""
        self.requests["DeleteMessageBatch"] += -(-len(receipts) // ENTRIES_MAX)

    def _hide(self, receipt: str, seconds: int, *, now: int) -> None:
        message = self._held.get(receipt)
        if message is not None:
            self._let_go(message)
            message.visible_at = now + seconds * 1000
            self._show(message)

    def _let_go(self, message: Sent) -> None:
        """End the delivery of a message."""
        del self._held[message.receipt]
        self._busy.discard(message.group)
        self.in_flight -= 1
