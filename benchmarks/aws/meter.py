"""What AWS clients are asked for while a function works: requests, bytes, read units.

CPU that is spent on the measuring, or on answering in place of AWS, is kept apart and not counted.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.model import OperationModel

from tests.support.item_size import item_bytes

Json = dict[str, Any]

READ_UNIT_BYTES = 4096
"""What one read unit pays for, read consistently; half of one pays for it otherwise."""


@dataclass(kw_only=True)
class Meter:
    """Counts since it was made."""

    requests: Counter[str] = field(default_factory=Counter)
    """By service and operation, such as `dynamodb.Query`; repetitions by the client count."""
    bytes_out: int = 0
    """Of the bodies of requests."""
    bytes_in: int = 0
    """Of the bodies of answers."""
    read_units: float = 0
    messages: list[tuple[str, int]] = field(default_factory=list)
    """Body and delay in seconds of each message that went to a run queue."""
    _own: int = 0
    _asked: Json = field(default_factory=dict)

    def watch(self, client: Any) -> None:  # noqa: ANN401 - a client of any service
        """Count what this client does from now on; it is used by one thread."""
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-send.{service}", self._ask)
        client.meta.events.register(f"after-call.{service}", self._take_answer)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Keep apart what CPU this thread takes within."""
        before = time.thread_time_ns()
        try:
            yield
        finally:
            self._own += time.thread_time_ns() - before

    def start(self) -> None:
        """Count from now on; CPU is counted from the beginning of the process all the same."""
        self.requests.clear()
        self.bytes_out = self.bytes_in = 0
        self.read_units = 0

    def cpu_seconds(self) -> float:
        """Return the CPU time of this process so far, all threads, less what was kept apart."""
        return (time.process_time_ns() - self._own) / 1e9

    def per_run(self, runs: int) -> dict[str, Any]:
        """Return the fields of a report."""
        return {
            "requests_per_run": {
                name: round(count / runs, 4) for name, count in sorted(self.requests.items())
            },
            "read_units_per_run": round(self.read_units / runs, 3),
            "bytes_out_per_run": round(self.bytes_out / runs),
            "bytes_in_per_run": round(self.bytes_in / runs),
        }

    def _ask(self, request: AWSPreparedRequest, event_name: str, **_event: object) -> None:
        with self.aside():
            _, service, operation = event_name.split(".")
            self.requests[f"{service}.{operation}"] += 1
            body = body_of(request)
            self.bytes_out += len(body)
            self._asked = json.loads(body)
            if operation == "SendMessageBatch":
                entries = self._asked["Entries"]
                self.messages += [(e["MessageBody"], e.get("DelaySeconds", 0)) for e in entries]

    def _take_answer(
        self, http_response: AWSResponse, model: OperationModel, **_event: object
    ) -> None:
        with self.aside():
            self.bytes_in += len(http_response.content)
            if model.name in {"BatchGetItem", "Query"} and http_response.status_code == 200:
                answer = json.loads(http_response.content)
                self.read_units += read_units(model.name, self._asked, answer)


def body_of(request: AWSPreparedRequest) -> str | bytes:
    """Return the JSON that a request sends."""
    assert isinstance(request.body, str | bytes), "both services are spoken to in JSON"
    return request.body


def read_units(operation: str, request: Json, answer: Json) -> float:
    """Return the read units of a request that was answered, by the rule that DynamoDB publishes.

    A batch pays for each item alone, also for one that is not there; a query pays for all that it
    returns together. Items are taken to be as large as what comes of them.
    """
    if operation == "Query":
        size = sum(item_bytes(item) for item in answer["Items"])
        return _units(size, consistent=request.get("ConsistentRead", False))
    units = 0.0
    for table, asked in request["RequestItems"].items():
        found = answer["Responses"].get(table, [])
        left = answer.get("UnprocessedKeys", {}).get(table, {"Keys": []})["Keys"]
        missing = len(asked["Keys"]) - len(found) - len(left)
        consistent = asked.get("ConsistentRead", False)
        sizes = [item_bytes(item) for item in found] + [0] * missing
        units += sum(_units(size, consistent=consistent) for size in sizes)
    return units


def _units(size: int, *, consistent: bool) -> float:
    units = max(1, -(-size // READ_UNIT_BYTES))
    return float(units) if consistent else units / 2
