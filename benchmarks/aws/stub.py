"""AWS in the same process, at no distance: it answers right, and takes none of the client's CPU.

A hook below retries, signatures and parsing answers each request in place of the network, so that
what is left is the client: our own code, and boto3 around it. The table is the simulation's.
"""

import json
import time
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HTTPHeaders

from benchmarks.aws.meter import Meter, body_of
from infra.definitions import TABLE
from punctual.core.instants import epoch_ms
from punctual.ports import Clock
from tests.simulation.table import SimulatedTable
from tests.support.item_size import item_bytes

Json = dict[str, Any]

MESSAGE_ID = "5fea7756-0ea4-451a-a703-a558b933e274"
DIGEST = "fafb00f5732ab283681e124bf8747ed1"
"""As long as each of those that SQS answers with."""


YARDS = 200

STORED_BESIDES = 100
"""Bytes that DynamoDB bills for each item it stores, besides the item."""


class Spent:
    """Adds up the write units that the table asks for, indexes included."""

    def __init__(self) -> None:
        self.units = 0

    def item_written(self, *_: object) -> None:
        """See `Observer.item_written`."""

    def units_paid(self, _address: tuple[str, str], units: int) -> None:
        """See `Observer.units_paid`."""
        self.units += units


class StubbedAws:
    """A table and queues, the latter without a bottom: what is sent is read off by the meter."""

    def __init__(self, *, clock: Clock, meter: Meter) -> None:
        self._clock = clock
        self._meter = meter
        self.spent = Spent()
        self.table = SimulatedTable(definition=TABLE, observer=self.spent)

    def serve(self, client: Any) -> None:  # noqa: ANN401 - a client of any service
        """Answer a client in place of the network from now on."""
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-send.{service}", self._answer)

    def bytes_kept(self, *, beginning: str) -> int:
        """Return what the items are billed as stored whose sort key begins so."""
        kept = [item for (_, sort), item in self.table.items.items() if sort.startswith(beginning)]
        return sum(item_bytes(item) + STORED_BESIDES for item in kept)

    def _answer(
        self, request: AWSPreparedRequest, event_name: str, **_event: object
    ) -> AWSResponse:
        with self._meter.aside():
            _, service, operation = event_name.split(".")
            asked = json.loads(body_of(request))
            if service == "sqs":
                answer = _all_taken(asked)
            else:
                answer = self.table.execute(operation, asked, now=epoch_ms(self._clock.now()))
            return _Answered(request.url, json.dumps(answer, separators=(",", ":")).encode())


class _Answered(AWSResponse):
    """A response whose body is there already."""

    def __init__(self, url: str, body: bytes) -> None:
        super().__init__(url, 200, HTTPHeaders(), raw=None)
        self._given = body

    @property
    def content(self) -> bytes:
        return self._given


def _all_taken(request: Json) -> Json:
    """Return what SQS says to a batch of which it takes every entry."""
    return {
        "Successful": [
            {"Id": entry["Id"], "MessageId": MESSAGE_ID, "MD5OfMessageBody": DIGEST}
            for entry in request["Entries"]
        ]
    }


def yardstick() -> float:
    """Return the CPU milliseconds of the smallest request of a client as boto3 makes it.

    A machine that others use, too, takes more CPU time for the same: this tells how much more.
    """
    client: Any = boto3.client("dynamodb")
    client.meta.events.register(
        "before-send.dynamodb", lambda request, **_event: _Answered(request.url, b"{}")
    )
    key = {"pk": {"S": "J"}, "sk": {"S": "JOB"}}
    client.get_item(TableName="punctual", Key=key)
    before = time.process_time()
    for _ in range(YARDS):
        client.get_item(TableName="punctual", Key=key)
    return (time.process_time() - before) / YARDS * 1000
