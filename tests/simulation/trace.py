"""What happened, in order, told only when somebody asks."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from punctual.core.instants import from_epoch_ms
from tests.simulation.clients import Reply
from tests.simulation.loop import Loop
from tests.simulation.sites import purpose_of, transitions_of
from tests.simulation.table import address_of

Json = dict[str, Any]


class Call(Protocol):
    """An AWS call, as far as a trace tells of it."""

    name: str
    operation: str
    request: Json
    fault: Any


class Trace:
    """Keeps what happened; turning it into words is left for later."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._events: list[tuple[int, str, str | tuple[Call, Reply | None]]] = []

    def add(self, who: str, what: str) -> None:
        """Note something down."""
        self._events.append((self._loop.now, who, what))

    def call(self, call: Call, reply: Reply | None) -> None:
        """Note down that a call was carried out, or what kept it from that (None)."""
        self._events.append((self._loop.now, call.name, (call, reply)))

    def __len__(self) -> int:
        return len(self._events)

    def lines(self) -> Iterator[str]:
        """Tell it, a line for each event."""
        for at, who, what in self._events:
            text = what if isinstance(what, str) else _told(*what)
            yield f"{from_epoch_ms(at):%m-%d %H:%M:%S.%f}"[:-3] + f"  {who:<16} {text}"


def clock(at: int | None) -> str:
    """Write an instant as the time of day."""
    return "never" if at is None else f"{from_epoch_ms(at):%H:%M:%S.%f}"[:-3]


def _told(call: Call, reply: Reply | None) -> str:
    """Tell a call: what for, on what, with what success, and what went wrong."""
    fault = f"  ⚡ {call.fault}" if call.fault is not None else ""
    parts = list(_parts(call, reply))
    told = "; ".join(parts) if parts else ""
    status = "" if reply is None or reply.status == 200 else f" → {_code(reply)}"
    return f"{purpose_of(call.operation, call.request)} {told}{status}{fault}"


def _code(reply: Reply) -> str:
    code: str = reply.body["__type"].rpartition("#")[2]
    standing = f" {_row(reply.body['Item'])}" if "Item" in reply.body else ""
    return code + standing


def _parts(call: Call, reply: Reply | None) -> Iterator[str]:
    body = reply.body if reply is not None and reply.status == 200 else {}
    request = call.request
    match call.operation:
        case "BatchExecuteStatement":
            names = transitions_of(call.operation, request)
            answers = body.get("Responses") or [{}] * len(request["Statements"])
            for name, statement, answer in zip(names, request["Statements"], answers, strict=True):
                where = _place(name, statement)
                yield f"{name} {where}{_refused(answer)}"
        case "BatchGetItem":
            ((table, asked),) = request["RequestItems"].items()
            found = {address_of(item): item for item in body.get("Responses", {}).get(table, ())}
            for key in asked["Keys"]:
                item = found.get(address_of(key))
                yield f"{_short(*address_of(key))}: {'none' if item is None else _row(item)}"
        case "BatchWriteItem":
            ((_, writes),) = request["RequestItems"].items()
            for write in writes:
                item = write.get("PutRequest", {}).get("Item") or write["DeleteRequest"]["Key"]
                yield f"{_short(*address_of(item))} {item.get('runs', {}).get('S', '')}"
            left = body.get("UnprocessedItems") or {}
            if left:
                yield f"unprocessed: {sum(map(len, left.values()))}"
        case "Query":
            rows = [f"{_short(*address_of(i))} {_row(i)}" for i in body.get("Items", ())]
            yield f"{request['ExpressionAttributeValues']}: {', '.join(rows) or 'none'}"
        case "PutItem":
            yield f"{_short(*address_of(request['Item']))} {_row(request['Item'])}"
        case "UpdateItem" | "DeleteItem":
            yield f"{' '.join(transitions_of(call.operation, request))} " + _short(
                *address_of(request["Key"])
            )
            if "Attributes" in body:
                yield _row(body["Attributes"])
        case _:
            failed = {entry["Id"] for entry in body.get("Failed", ())}
            if purpose_of(call.operation, request) == "shard.wake" and not failed:
                spans = [json.loads(entry["MessageBody"])["shards"] for entry in request["Entries"]]
                yield f"shards {spans[0][0]} to {spans[-1][1] - 1}"
                return
            for entry in request["Entries"]:
                lost = " ✗" if entry["Id"] in failed else ""
                yield f"{_entry(entry)}{lost}"


def _entry(entry: Json) -> str:
    if "ReceiptHandle" in entry:
        return f"{entry['ReceiptHandle']} for {entry['VisibilityTimeout']} s"
    delay = f" in {entry['DelaySeconds']} s" if "DelaySeconds" in entry else ""
    return f"{entry['MessageBody']}{delay}"


def _place(name: str, statement: Json) -> str:
    keys = [p["S"] for p in statement["Parameters"] if "S" in p]
    partitions = [n for n, key in enumerate(keys) if key.startswith(("J#", "W#"))]
    if not partitions:
        return name
    first = partitions[0]
    return _short(keys[first], keys[first + 1])


def _short(pk: str, sk: str) -> str:
    return f"{pk.rpartition('#')[2]}/{sk}" if pk.startswith("J#") else f"{pk}/{sk}"


def _refused(answer: Mapping[str, Any]) -> str:
    error = answer.get("Error")
    if error is None:
        return ""
    return f" ✗ {error['Code']}" + (f" {_row(error['Item'])}" if "Item" in error else "")


_TOLD = (
    "state",
    "attempt",
    "owner",
    "lease_until",
    "retry_at",
    "finished_by",
    "cancel_requested_at",
    "reason",
    "incarnation",
    "revision",
    "schedule_revision",
    "next_slot",
    "due_at",
    "ordinal",
    "paused_at",
    "runs",
)


def _row(item: Mapping[str, Any]) -> str:
    """Tell an item by what matters of it."""
    told = []
    for name in _TOLD:
        if name not in item:
            continue
        ((kind, value),) = item[name].items()
        if name in {"lease_until", "retry_at", "next_slot", "due_at", "paused_at"} and kind == "N":
            if value == "0":
                continue
            value = f"{from_epoch_ms(int(value)):%H:%M:%S.%f}"[:-3]
        told.append(f"{name}={value}")
    return "{" + " ".join(told) + "}"
