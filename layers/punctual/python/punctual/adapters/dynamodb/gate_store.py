"""Gates and limits over the table: one item each, written only over the version that was read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from punctual.adapters.dynamodb import keys
from punctual.adapters.dynamodb.items import Item, address, instant, seconds, text
from punctual.adapters.dynamodb.table import Fate, Table
from punctual.adapters.dynamodb.writes import Change, Insert, Update
from punctual.core.gates import KEPT, Gate
from punctual.core.identity import JobKey
from punctual.core.instants import from_epoch_ms
from punctual.core.limits import LimitKey, Usage
from punctual.core.records import place_from_text, place_to_text, token_from_text, token_to_text
from punctual.ports import Clock

_GATE = Change(
    when="#version = :seen",
    sets=("#version = :version", "#holder = :holder", "#waiting = :waiting", "#ttl = :ttl"),
)

_USAGE = Change(
    when="#version = :seen",
    sets=("#version = :version", "#holders = :holders", "#next_start = :next_start", "#ttl = :ttl"),
)


class DynamoGateStore:
    """Fills `GateStore`."""

    def __init__(self, table: Table, *, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def gates(self, jobs: Sequence[JobKey]) -> Mapping[JobKey, Gate]:
        """See `GateStore.gates`."""
        items = self._table.get([_gate_address(job) for job in jobs])
        found = {gate.job: gate for gate in map(_gate_from_item, items)}
        return {job: found.get(job) or Gate(job=job) for job in jobs}

    def usages(self, limits: Sequence[LimitKey]) -> Mapping[LimitKey, Usage]:
        """See `GateStore.usages`."""
        items = self._table.get([_usage_address(limit) for limit in limits])
        found = {usage.key: usage for usage in map(_usage_from_item, items)}
        return {limit: found.get(limit) or Usage(key=limit) for limit in limits}

    def put(self, records: Sequence[Gate | Usage], *, versions: Sequence[str]) -> Sequence[bool]:
        """See `GateStore.put`."""
        now = self._clock.now()
        answers = self._table.write(
            [
                _write(record, version, now=now)
                for record, version in zip(records, versions, strict=True)
            ]
        )
        return [answer.fate is Fate.APPLIED for answer in answers]


def _write(record: Gate | Usage, version: str, *, now: datetime) -> Insert | Update:
    values = {"version": text(version), "ttl": seconds(now + KEPT)}
    if isinstance(record, Gate):
        place, change = _gate_address(record.job), _GATE
        values |= {
            "holder": text(place_to_text(record.holder)),
            "waiting": text(place_to_text(record.waiting)),
        }
    else:
        place, change = _usage_address(record.key), _USAGE
        next_start = {"N": "0"} if record.next_start is None else instant(record.next_start)
        holders = {"L": [text(token_to_text(token)) for token in record.holders]}
        values |= {"holders": holders, "next_start": next_start}
    if record.version is None:
        return Insert(item=place | values)
    named = {f":{name}": value for name, value in values.items()}
    return Update(key=place, change=change, values=named | {":seen": text(record.version)})


def _gate_address(job: JobKey) -> dict[str, Any]:
    return address(keys.job_partition(job), keys.GATE)


def _usage_address(limit: LimitKey) -> dict[str, Any]:
    return address(keys.limit_partition(limit), keys.USAGE)


def _gate_from_item(item: Item) -> Gate:
    """Read a gate. One past its time is what it was: whoever it names is over, and looked up."""
    job = keys.job_of(item["pk"]["S"])
    return Gate(
        job=job,
        version=item["version"]["S"],
        holder=place_from_text(item["holder"]["S"], job=job),
        waiting=place_from_text(item["waiting"]["S"], job=job),
    )


def _usage_from_item(item: Item) -> Usage:
    limit = keys.limit_of(item["pk"]["S"])
    next_start = int(item["next_start"]["N"])
    return Usage(
        key=limit,
        version=item["version"]["S"],
        holders=tuple(
            token_from_text(token["S"], tenant=limit.tenant) for token in item["holders"]["L"]
        ),
        next_start=from_epoch_ms(next_start) if next_start else None,
    )
