"""What a request is for: names for the places in our code where AWS is called, and for transitions.

Read off the requests themselves, so that the names hold for changed code too.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from infra.definitions import DEAD_LETTERS, SHARDS
from tests.simulation.expressions import Item
from tests.simulation.table import Address, address_of

Json = dict[str, Any]


def purpose_of(operation: str, request: Json) -> str:
    """Name what a request is for, such as `run.start`."""
    match operation:
        case "SendMessageBatch":
            queue = request["QueueUrl"].rpartition("/")[2]
            named = {SHARDS.full_name: "shard.wake", DEAD_LETTERS.full_name: "letter.keep"}
            return named.get(queue, "run.send")
        case "ChangeMessageVisibilityBatch":
            return "message.hide"
        case "BatchGetItem":
            ((_, asked),) = request["RequestItems"].items()
            return f"{kind_of(address_of(asked['Keys'][0]))}.read"
        case "Query":
            return _query_purpose(request)
        case "BatchWriteItem":
            ((_, writes),) = request["RequestItems"].items()
            if "DeleteRequest" in writes[0]:
                return f"{kind_of(address_of(writes[0]['DeleteRequest']['Key']))}.remove"
            return f"{kind_of(address_of(writes[0]['PutRequest']['Item']))}.add"
        case _:
            return _PURPOSES[next(transitions_of(operation, request))]


def _query_purpose(request: Json) -> str:
    if "IndexName" in request:
        return f"index.{request['IndexName']}"
    values = request["ExpressionAttributeValues"]
    sort = next(
        (values[name]["S"] for name in (":contents", ":life", ":first") if name in values), ""
    )
    return f"{kind_of((values[':pk']['S'], sort))}.list"


def kind_of(address: Address) -> str:
    """Name the kind of item that lies at an address."""
    pk, sk = address
    if pk.startswith("W#"):
        return "watch"
    if pk.startswith("K#"):
        return "usage"
    if pk == "BEATS":
        return "beat"
    for prefix, kind in (
        ("JOB", "job"),
        ("P#", "content"),
        ("R#", "run"),
        ("M#", "stretch"),
        ("I#", "request"),
        ("G", "gate"),
    ):
        if sk.startswith(prefix):
            return kind
    return pk.partition("#")[0]


def transitions_of(operation: str, request: Json) -> Iterator[str]:
    """Name the conditional writes of a request, in their order."""
    match operation:
        case "BatchExecuteStatement":
            for statement in request["Statements"]:
                yield _transition(statement["Statement"])
        case "PutItem":
            yield _PUTS[kind_of(address_of(request["Item"]))]
        case "UpdateItem":
            names = request["ExpressionAttributeNames"]
            text = f"{request['UpdateExpression']} WHERE {request.get('ConditionExpression', '')}"
            yield _transition(_NAME.sub(lambda match: f'"{names[match[0]]}"', text))
        case "DeleteItem":
            names = request["ExpressionAttributeNames"]
            text = f"DELETE WHERE {request['ConditionExpression']}"
            yield _transition(_NAME.sub(lambda match: f'"{names[match[0]]}"', text))
        case _:
            return


_PUTS = {
    "run": "INSERT",
    "job": "PUT JOB",
    "stretch": "LEAVE OUT",
    "request": "REMEMBER",
    "gate": "GATE",
    "usage": "USAGE",
}

_NAME = re.compile(r"#[a-z_]+")


@lru_cache(maxsize=4096)
def _transition(text: str) -> str:
    """Name a write by the attributes that it sets, and asks about."""
    if text.startswith("INSERT"):
        named = (("'since'", "LEAVE OUT"), ("'holder'", "GATE"), ("'holders'", "USAGE"))
        return next((name for attribute, name in named if attribute in text), "INSERT")
    changes, _, condition = text.partition("WHERE")
    if '"announced_by"' in condition:
        return "WITHDRAW" if text.startswith("DELETE") else "SETTLE"
    if text.startswith("DELETE"):
        return "VOID" if '"owner"' in condition else "VOID QUEUED"
    sets = set(re.findall(r'"([a-z_]+)"(?:\[\d+\])? =', changes))
    asks = set(re.findall(r'"([a-z_]+)"', condition))
    if "finished_by" in sets:
        return "FINISH"  # whatever it asks: a broken one is found where the sound one is looked for
    if "finished_at" in sets:
        if "cancel_requested_at" in asks:
            return "REAP"
        return "GIVE UP" if "attempts_left" in asks else "CANCEL"
    for attribute, name in _BY_ATTRIBUTE:
        if attribute in sets:
            return name
    return f"? {text}"


_BY_ATTRIBUTE = (
    ("owner", "START"),
    ("failures", "RETRY"),
    ("cancel_requested_at", "REQUEST CANCEL"),
    ("reason", "WAIT"),
    ("holder", "GATE"),
    ("holders", "USAGE"),
    ("schedule_revision", "REVISE"),
    ("ordinal", "CLAIM"),
    ("pause_note", "PARK"),
    ("content", "PUT CONTENT"),
    ("touched", "REVIVE CONTENT"),
    ("ttl", "EXPIRE CONTENT"),
    ("lease_until", "HOLD"),
)

_PURPOSES = {
    "INSERT": "run.insert",
    "LEAVE OUT": "stretch.put",
    "SETTLE": "stretch.settle",
    "WITHDRAW": "stretch.withdraw",
    "REVISE": "run.revise",
    "START": "run.start",
    "FINISH": "run.settle",
    "RETRY": "run.settle",
    "WAIT": "run.settle",
    "VOID": "run.settle",
    "VOID QUEUED": "run.void",
    "HOLD": "run.hold",
    "CANCEL": "run.end",
    "REAP": "run.end",
    "GIVE UP": "run.end",
    "REQUEST CANCEL": "run.cancel",
    "GATE": "gate.put",
    "USAGE": "usage.put",
    "CLAIM": "job.claim",
    "PARK": "job.park",
    "PUT JOB": "job.put",
    "REMEMBER": "request.put",
    "PUT CONTENT": "content.put",
    "REVIVE CONTENT": "content.touch",
    "EXPIRE CONTENT": "content.touch",
}


def standing_of(item: Item | None, *, now: int) -> str:
    """Say how a run's row stands: what a refused write finds."""
    if item is None:
        return "gone"
    state: str = item["state"]["S"]
    if state == "running":
        live = int(item["lease_until"]["N"]) >= now
        spent = int(item["attempts_left"]["N"]) == 0
        cancel = ", cancel requested" if "cancel_requested_at" in item else ""
        return ("live" if live else "dead, spent" if spent else "dead") + cancel
    if state == "retrying":
        return "retrying" if int(item["retry_at"]["N"]) <= now else "retrying, early"
    return state if state == "queued" else "terminal"
