"""A DynamoDB table in memory: items, indexes that lag behind, and what every request costs.

It answers the operations that Punctual uses, as the service documents them; anything else fails
loudly. It is single-threaded, so each write is atomic, and a batch is as many writes as it has
entries, of which each succeeds or fails alone.
"""

import heapq
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from infra.definitions import Index, TableDefinition
from tests.simulation.expressions import (
    Condition,
    Given,
    Invalid,
    Item,
    Parsed,
    Statement,
    Unsupported,
    Value,
    parse_condition,
    parse_statement,
    parse_update,
)
from tests.support.item_size import UNIT_BYTES, item_bytes

Address = tuple[str, str]
"""Partition and sort key of an item."""

Json = dict[str, Any]

STATEMENTS_MAX = 25
ITEMS_WRITTEN_MAX = 25
ITEMS_READ_MAX = 100

CONDITION_FAILED = "ConditionalCheckFailed"
DUPLICATE = "DuplicateItem"
BUSY = "ThrottlingError"

_PARTITION = re.compile(r"#(?P<name>[a-z_]+) = :(?P<value>[a-z_]+)(?: AND .+)?")


class Refused(Exception):
    """One write's condition does not hold, or the item to insert exists."""

    def __init__(self, code: str, item: Item | None) -> None:
        super().__init__(code)
        self.code = code
        self.item = item


class Busy(Exception):
    """The partition has no capacity left for now."""


class Observer(Protocol):
    """Is told what happens to the items."""

    def item_written(self, address: Address, before: Item | None, after: Item | None) -> None:
        """An item was written or deleted; None stands for no item."""
        ...

    def units_paid(self, address: Address, units: int) -> None:
        """A write, refused ones included, cost so many units, indexes included."""
        ...


@dataclass(slots=True)
class Entry:
    """An item as an index carries it."""

    partition: Value
    sort: Value
    item: Item


class SimulatedIndex:
    """What one index shows: the table as it was a moment ago."""

    def __init__(self, definition: Index, own_keys: Sequence[str]) -> None:
        self._definition = definition
        self._carries = (
            *own_keys,
            definition.partition_key.name,
            definition.sort_key.name,
            *definition.carries,
        )
        self._entries: dict[Address, Entry] = {}
        self._coming: list[tuple[int, int, Address, Entry | None]] = []
        self._coming_by_address: dict[Address, int] = {}
        self._number = 0

    def entry(self, item: Item | None) -> Entry | None:
        """Return what the index carries of an item; None when it is not in it."""
        if item is None:
            return None
        partition = item.get(self._definition.partition_key.name)
        sort = item.get(self._definition.sort_key.name)
        if partition is None or sort is None:
            return None
        return Entry(partition, sort, {name: item[name] for name in self._carries if name in item})

    def show(self, address: Address, entry: Entry | None, *, at: int) -> None:
        """Show an item's new state from `at` on, never before its earlier states."""
        at = max(at, self._coming_by_address.get(address, 0))
        self._coming_by_address[address] = at
        self._number += 1
        heapq.heappush(self._coming, (at, self._number, address, entry))

    @property
    def sort_key(self) -> str:
        """The attribute that its items are ordered by."""
        return self._definition.sort_key.name

    def items(self, partition: Value, *, now: int) -> list[Item]:
        """Return a partition's items in the order of their sort keys."""
        self.catch_up(now)
        found = [entry.item for entry in self._entries.values() if entry.partition == partition]
        return sorted(found, key=lambda item: position_of(item, self.sort_key))

    def catch_up(self, now: int) -> None:
        """Take in what was to be shown by now."""
        while self._coming and self._coming[0][0] <= now:
            _, _, address, entry = heapq.heappop(self._coming)
            if entry is None:
                self._entries.pop(address, None)
            else:
                self._entries[address] = entry

    def __len__(self) -> int:
        return len(self._entries)


def write_units(before: Entry | None, after: Entry | None) -> int:
    """Return what an index pays for a change: by the rules of AWS for index writes."""
    if before is None and after is None:
        return 0
    if before is None or after is None:
        return sum(units_of(item_bytes(e.item)) for e in (before, after) if e is not None)
    weights = units_of(item_bytes(before.item)), units_of(item_bytes(after.item))
    if (before.partition, before.sort) != (after.partition, after.sort):
        return sum(weights)
    return 0 if before.item == after.item else max(weights)


def units_of(size: int) -> int:
    """Return what a write of so many bytes costs."""
    return max(1, -(-size // UNIT_BYTES))


@dataclass(kw_only=True)
class SimulatedTable:
    """The items, and every operation on them."""

    definition: TableDefinition
    observer: Observer
    lag: Callable[[Address, int], int] = lambda _address, _write: 0
    """How many milliseconds the indexes are behind for a write, by its number."""
    page_max: int | None = None
    """Items of a page at most, whatever the request says; the service's own bound is 1 MB."""
    items: dict[Address, Item] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys = (self.definition.partition_key.name, self.definition.sort_key.name)
        self._indexes = {i.name: SimulatedIndex(i, keys) for i in self.definition.indexes}
        self._partitions: dict[str, dict[str, Item]] = {}
        self._writes = 0

    def execute(
        self,
        operation: str,
        request: Json,
        *,
        now: int,
        busy: Callable[[Address], bool] = lambda _: False,
    ) -> Json:
        """Answer one request.

        Args:
            operation: Such as `PutItem`.
            request: Its body.
            now: Milliseconds since 1970.
            busy: Whether an entry fails for want of capacity.

        Raises:
            Refused: The condition of a single write does not hold.
            Busy: There is no capacity for a single request.
            Invalid: The service would call it a mistake.
            Unsupported: It is not known here.
        """
        match operation:
            case "PutItem" | "UpdateItem" | "DeleteItem":
                return self._single(operation, request, now=now, busy=busy)
            case "BatchExecuteStatement":
                return self._statements(request["Statements"], now=now, busy=busy)
            case "BatchWriteItem":
                return self._write_batch(request, now=now, busy=busy)
            case "BatchGetItem":
                return self._get_batch(request, busy=busy)
            case "Query":
                return self._query(request, now=now, busy=busy)
            case _:
                raise Unsupported(operation)

    def partition(self, name: str) -> Mapping[str, Item]:
        """Return the items of a partition by sort key."""
        return self._partitions.get(name, {})

    def index(self, name: str, *, now: int) -> SimulatedIndex:
        """Return an index as it is now."""
        index = self._indexes[name]
        index.catch_up(now)
        return index

    def expire(self, address: Address, *, now: int) -> bool:
        """Delete an item whose time to live is over, for free; say whether it was."""
        item = self.items.get(address)
        ttl = item.get(self.definition.ttl_attribute) if item is not None else None
        if ttl is None or int(ttl["N"]) * 1000 > now:
            return False
        self._store(address, None, now=now)
        return True

    # Single requests

    def _single(
        self, operation: str, request: Json, *, now: int, busy: Callable[[Address], bool]
    ) -> Json:
        given = Given(
            request.get("ExpressionAttributeNames", {}),
            request.get("ExpressionAttributeValues", {}),
        )
        parsed = [
            parse(request[name])
            for name, parse in (
                ("ConditionExpression", parse_condition),
                ("UpdateExpression", parse_update),
            )
            if name in request
        ]
        _refuse_unused(parsed, given)
        address = address_of(request["Item"] if operation == "PutItem" else request["Key"])
        if busy(address):
            raise Busy
        before = self.items.get(address)
        condition = next((p.condition for p in parsed if p.condition is not None), None)
        try:
            self._check(address, condition, before, given)
        except Refused as refused:
            if request.get("ReturnValuesOnConditionCheckFailure") != "ALL_OLD":
                refused.item = None
            raise
        match operation:
            case "PutItem":
                after: Item | None = request["Item"]
            case "DeleteItem":
                after = None
            case _:
                update = next(p.update for p in parsed if p.update is not None)
                after = update(before if before is not None else request["Key"], given)
        self._store(address, after, now=now)
        return {"Attributes": after} if request.get("ReturnValues") == "ALL_NEW" else {}

    def _check(
        self, address: Address, condition: Condition | None, before: Item | None, given: Given
    ) -> None:
        if condition is not None and not condition(before or {}, given):
            self._refuse(address, before, CONDITION_FAILED)

    def _refuse(self, address: Address, before: Item | None, code: str) -> None:
        size = item_bytes(before) if before is not None else 0
        self.observer.units_paid(address, units_of(size))
        raise Refused(code, before)

    def _store(self, address: Address, after: Item | None, *, now: int) -> None:
        """Put the item there, and into the indexes in a moment."""
        self._writes += 1
        before = self.items.get(address)
        units = max(units_of(item_bytes(item)) for item in (before or {}, after or {}))
        for index in self._indexes.values():
            old, new = index.entry(before), index.entry(after)
            if old is not None or new is not None:
                units += write_units(old, new)
                index.show(address, new, at=now + self.lag(address, self._writes))
        pk, sk = address
        if after is None:
            if before is not None:
                del self.items[address]
                del self._partitions[pk][sk]
        else:
            self.items[address] = after
            self._partitions.setdefault(pk, {})[sk] = after
        self.observer.units_paid(address, units)
        self.observer.item_written(address, before, after)

    # Batches

    def _statements(
        self, statements: Sequence[Json], *, now: int, busy: Callable[[Address], bool]
    ) -> Json:
        if not 0 < len(statements) <= STATEMENTS_MAX:
            raise Invalid("a batch has 1 to 25 statements")
        prepared = [_prepared(statement) for statement in statements]
        _refuse_doubles(address for _, _, address in prepared)
        answers: list[Json] = []
        for (statement, given, address), request in zip(prepared, statements, strict=True):
            if busy(address):
                answers.append({"Error": {"Code": BUSY, "Message": "no capacity"}})
                continue
            try:
                self._carry_out(statement, given, address, now=now)
            except Refused as refused:
                error: Json = {"Code": refused.code, "Message": "refused"}
                returned = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
                if returned and refused.item is not None:
                    error["Item"] = refused.item
                answers.append({"Error": error})
            else:
                answers.append({})
        return {"Responses": answers}

    def _carry_out(self, statement: Statement, given: Given, address: Address, *, now: int) -> None:
        before = self.items.get(address)
        if statement.kind == "insert":
            if before is not None:
                self._refuse(address, before, DUPLICATE)
            item = {
                name: given.values[f"?{number}"] for number, name in enumerate(statement.attributes)
            }
            self._store(address, item, now=now)
        elif statement.kind == "delete":
            if before is not None:  # of one that is not there, nothing is deleted: a success
                self._check(address, statement.condition, before, given)
                self._store(address, None, now=now)
        else:
            if before is None:
                self._refuse(address, None, CONDITION_FAILED)
            assert before is not None, "an update changes what exists"
            self._check(address, statement.condition, before, given)
            assert statement.update is not None, "an update updates"
            self._store(address, statement.update(before, given), now=now)

    def _write_batch(self, request: Json, *, now: int, busy: Callable[[Address], bool]) -> Json:
        ((table, writes),) = request["RequestItems"].items()
        if not 0 < len(writes) <= ITEMS_WRITTEN_MAX:
            raise Invalid("a batch writes 1 to 25 items")
        addresses = [
            address_of(w["PutRequest"]["Item"] if "PutRequest" in w else w["DeleteRequest"]["Key"])
            for w in writes
        ]
        _refuse_doubles(addresses)
        left = []
        for write, address in zip(writes, addresses, strict=True):
            if busy(address):
                left.append(write)
            else:
                self._store(address, write.get("PutRequest", {}).get("Item"), now=now)
        return {"UnprocessedItems": {table: left} if left else {}}

    def _get_batch(self, request: Json, *, busy: Callable[[Address], bool]) -> Json:
        ((table, asked),) = request["RequestItems"].items()
        keys = asked["Keys"]
        if not 0 < len(keys) <= ITEMS_READ_MAX:
            raise Invalid("a batch reads 1 to 100 items")
        _refuse_doubles(map(address_of, keys))
        left = [key for key in keys if busy(address_of(key))]
        found = [
            item
            for key in sorted(keys, key=address_of)
            if key not in left and (item := self.items.get(address_of(key))) is not None
        ]
        unprocessed = {table: {**asked, "Keys": left}} if left else {}
        return {"Responses": {table: found}, "UnprocessedKeys": unprocessed}

    def _query(self, request: Json, *, now: int, busy: Callable[[Address], bool]) -> Json:
        given = Given(
            request.get("ExpressionAttributeNames", {}), request["ExpressionAttributeValues"]
        )
        parsed = parse_condition(request["KeyConditionExpression"])
        _refuse_unused([parsed], given)
        condition = parsed.condition
        assert condition is not None, "a key condition is a condition"
        match = _PARTITION.fullmatch(request["KeyConditionExpression"])
        if match is None:
            raise Unsupported(request["KeyConditionExpression"])
        partition = given.values[f":{match['value']}"]
        if busy((next(iter(partition.values())), "")):
            raise Busy
        name = request.get("IndexName")
        sort = self._indexes[name].sort_key if name else self.definition.sort_key.name
        rows = [
            (position_of(item, sort), item)
            for item in self._rows(name, partition, now=now)
            if condition(item, given)
        ]
        start = request.get("ExclusiveStartKey")
        ascending = request.get("ScanIndexForward", True)
        if start is not None:
            after = position_of(start, sort)
            rows = [row for row in rows if (row[0] > after if ascending else row[0] < after)]
        if not ascending:
            rows.reverse()
        limit = min(filter(None, (request.get("Limit"), self.page_max)), default=None)
        response: Json = {"Items": [item for _, item in rows[:limit]]}
        if limit is not None and len(rows) >= limit:
            # The service says so even when nothing follows.
            last = rows[limit - 1][1]
            keys = {"pk", "sk", sort, match["name"]}
            response["LastEvaluatedKey"] = {key: last[key] for key in keys}
        return response

    def _rows(self, index: str | None, partition: Value, *, now: int) -> Iterable[Item]:
        """Return a partition's items in the order of their sort keys."""
        if index is not None:
            return self._indexes[index].items(partition, now=now)
        return [item for _, item in sorted(self._partitions.get(partition["S"], {}).items())]


def address_of(item: Item) -> Address:
    """Return where an item lies, or a key points to."""
    return item["pk"]["S"], item["sk"]["S"]


def position_of(item: Item, sort_key: str) -> tuple[Any, Address]:
    """Return where an item stands among those of its partition, in the order of a sort key."""
    value = item[sort_key]
    return int(value["N"]) if "N" in value else value["S"], address_of(item)


def _prepared(request: Json) -> tuple[Statement, Given, Address]:
    statement = parse_statement(request["Statement"])
    parameters = request.get("Parameters", [])
    if len(parameters) != statement.parameters:
        raise Invalid("as many parameters as question marks")
    given = Given(values={f"?{number}": value for number, value in enumerate(parameters)})
    if statement.kind == "insert":
        named = dict(zip(statement.attributes, parameters, strict=True))
        return statement, given, address_of(named)
    key, sort = (operand and operand({}, given) for operand in (statement.key, statement.sort))
    if key is None or sort is None:
        raise Invalid("a write names its item")
    return statement, given, (key["S"], sort["S"])


def _refuse_unused(parsed: Iterable[Parsed], given: Given) -> None:
    names = frozenset[str]().union(*(p.names for p in parsed))
    values = frozenset[str]().union(*(p.values for p in parsed))
    if names != set(given.names) or values != set(given.values):
        raise Invalid(f"names or values unused or missing: {names ^ set(given.names)}")


def _refuse_doubles(addresses: Iterable[Address]) -> None:
    listed = list(addresses)
    if len(set(listed)) < len(listed):
        raise Invalid("a batch names an item twice")
