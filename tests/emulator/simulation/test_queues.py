"""The simulated queues do as emulated ones do: what is delivered, hidden, deleted and given up.

The two share no clock. So whatever is to be seen at once is asked for at once, and whatever is not
is put off for longer than the tests take.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from infra.definitions import EXHAUSTED, FAST, SHARDS, QueueDefinition
from tests.simulation.queues import SimulatedQueue, SimulatedQueues
from tests.support.aws_engine import client

pytestmark = pytest.mark.emulator

Json = dict[str, Any]

QUICK = settings(
    max_examples=40,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
"""Without shrinking, which over sockets takes minutes; and however busy the machine is."""

NOW = 0

RECEIVES_MAX = 2

DEAD = replace(EXHAUSTED, name="dead", receives_max=None, gives_up_to=None)
IMPATIENT = replace(FAST, name="impatient", receives_max=RECEIVES_MAX, gives_up_to=DEAD)

AT_ONCE, LATER = 0, 900

Receipts = tuple[str, str]
"""Of one delivery: the emulated queue's and the simulated one's."""


@dataclass(kw_only=True)
class Twin:
    """A queue in both worlds."""

    sqs: Any
    url: str
    simulated: SimulatedQueue
    deliveries: dict[str, list[Receipts]] = field(default_factory=lambda: defaultdict(list))
    """By body, oldest first."""
    in_flight: set[str] = field(default_factory=set)
    """Bodies that were delivered and have not come back. SQS refuses to hide any other message, as
    the simulated queue does; the emulated one does not."""

    def both(self, operation: str, entries: Sequence[Json], simulated: Sequence[Json]) -> None:
        """Ask both for the same; each entry succeeds or fails alike."""
        service = SimulatedQueues(by_url={self.url: self.simulated})
        request = {"QueueUrl": self.url, "Entries": simulated}
        method = {
            "SendMessageBatch": self.sqs.send_message_batch,
            "ChangeMessageVisibilityBatch": self.sqs.change_message_visibility_batch,
        }[operation]
        wanted = method(QueueUrl=self.url, Entries=entries)
        assert _plain(service.execute(operation, request, now=NOW)) == _plain(wanted)

    def send(self, entries: Sequence[Json]) -> None:
        """Send messages in one request."""
        self.both("SendMessageBatch", entries, entries)

    def receive(self) -> dict[str | None, list[tuple[str, int]]]:
        """Receive all there is; return bodies and receive counts, by group, from both alike."""
        found: dict[str | None, list[tuple[str, int]]] = defaultdict(list)
        emulated: dict[str, str] = {}
        while messages := self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["All"]
        ).get("Messages", ()):
            for message in messages:
                attributes = message["Attributes"]
                group = attributes.get("MessageGroupId")
                # What another queue gave up on brings its count along there, and begins anew here.
                before = RECEIVES_MAX if self.simulated.definition is DEAD else 0
                count_here = int(attributes["ApproximateReceiveCount"]) - before
                received = message["Body"], count_here
                found[group].append(received)
                emulated[message["Body"]] = message["ReceiptHandle"]
        simulated: dict[str | None, list[tuple[str, int]]] = defaultdict(list)
        while queued := self.simulated.receive(limit=10, now=NOW):
            for message in queued:
                assert message.receipt is not None, "what was delivered has a receipt"
                simulated[message.group].append((message.body, message.receives))
                receipts = emulated.get(message.body, ""), message.receipt
                self.deliveries[message.body].append(receipts)
                self.in_flight.add(message.body)
        if not self.simulated.definition.fifo:
            for bodies in (*found.values(), *simulated.values()):
                bodies.sort()  # a standard queue has no order
        assert simulated == found
        return found

    def hide(self, body: str, *, delivery: int, seconds: int) -> None:
        """Change how long a delivery's message stays out of sight."""
        emulated, simulated = self.deliveries[body][delivery]
        entries = [
            [{"Id": "0", "ReceiptHandle": receipt, "VisibilityTimeout": seconds}]
            for receipt in (emulated, simulated)
        ]
        self.both("ChangeMessageVisibilityBatch", *entries)
        if seconds == AT_ONCE:
            self.in_flight.discard(body)

    def delete(self, body: str) -> None:
        """Delete a message by its last receipt."""
        emulated, simulated = self.deliveries[body][-1]
        self.in_flight.discard(body)
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=emulated)
        self.simulated.delete(simulated)


def _plain(response: Json) -> Json:
    return {
        "Successful": sorted(entry["Id"] for entry in response.get("Successful", ())),
        "Failed": sorted(entry["Id"] for entry in response.get("Failed", ())),
    }


Opened = Callable[..., Twin]


@pytest.fixture(scope="module")
def open_queue(ministack: str) -> Opened:
    """Make a new queue of a definition, in both worlds."""
    sqs = client("sqs", ministack)

    def open_one(definition: QueueDefinition, *, gives_up_to: Twin | None = None) -> Twin:
        arn = None
        if gives_up_to is not None:
            asked = sqs.get_queue_attributes(QueueUrl=gives_up_to.url, AttributeNames=["QueueArn"])
            arn = asked["Attributes"]["QueueArn"]
        arguments = definition.create_arguments(prefix=f"{uuid4().hex[:12]}-", gives_up_to_arn=arn)
        above = gives_up_to.simulated if gives_up_to is not None else None
        return Twin(
            sqs=sqs,
            url=sqs.create_queue(**arguments)["QueueUrl"],
            simulated=SimulatedQueue(definition=definition, gives_up_to=above),
        )

    return open_one


@given(data=st.data())
@QUICK
def test_a_standard_queue_delivers_hides_and_gives_up_alike(
    open_queue: Opened, data: st.DataObject
) -> None:
    dead = open_queue(DEAD)
    queue = open_queue(IMPATIENT, gives_up_to=dead)
    numbers = count()
    for _ in range(data.draw(st.integers(1, 6))):
        delays = data.draw(st.lists(st.sampled_from([AT_ONCE, AT_ONCE, LATER]), max_size=4))
        if delays:
            queue.send(
                [
                    {
                        "Id": str(number),
                        "MessageBody": f"body {next(numbers)}",
                        "DelaySeconds": delay,
                        "MessageGroupId": str(number % 2),
                    }
                    for number, delay in enumerate(delays)
                ]
            )
        queue.receive()
        for body in data.draw(_some_of(queue.in_flight)):
            if data.draw(st.booleans()):
                queue.delete(body)
            else:
                seconds = data.draw(st.sampled_from([AT_ONCE, AT_ONCE, LATER]))
                queue.hide(body, delivery=-1, seconds=seconds)
    queue.receive()
    dead.receive()


@given(data=st.data())
@QUICK
def test_a_fifo_queue_keeps_order_and_takes_each_message_once_alike(
    open_queue: Opened, data: st.DataObject
) -> None:
    """A group waits for what is in flight of it; a deduplication id counts once."""
    queue = open_queue(SHARDS)
    numbers = count()
    for _ in range(data.draw(st.integers(1, 6))):
        sent = data.draw(
            st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("uvwxyz")), max_size=3)
        )
        if sent:
            queue.send(
                [
                    {
                        "Id": str(number),
                        "MessageBody": f"body {next(numbers)}",
                        "MessageGroupId": group,
                        "MessageDeduplicationId": name,
                    }
                    for number, (group, name) in enumerate(sent)
                ]
            )
        queue.receive()
        for body in data.draw(_some_of(queue.in_flight)):
            if data.draw(st.booleans()):
                queue.delete(body)
            else:
                queue.hide(body, delivery=-1, seconds=AT_ONCE)
    queue.receive()


def _some_of(bodies: set[str]) -> st.SearchStrategy[list[str]]:
    if not bodies:
        return st.just([])
    return st.lists(st.sampled_from(sorted(bodies)), unique=True, max_size=3)
