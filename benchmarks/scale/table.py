"""The table at scale: every item in memory, each partition with the capacity that it has on AWS.

It answers what the tick, the dispatch and the executors ask, through the parser and the rules of
cost of the simulation's own table, which emulators hold to DynamoDB. What differs is for speed and
size: indexes are kept in order, and items are kept packed.
"""

import heapq
import marshal
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from benchmarks.scale.capacity import Bucket, Partitions, take_all
from infra.definitions import Index, TableDefinition
from tests.simulation.expressions import (
    Condition,
    Given,
    Item,
    Statement,
    Unsupported,
    Update,
    Value,
    parse_condition,
    parse_statement,
    parse_update,
)
from tests.simulation.table import (
    BUSY,
    CONDITION_FAILED,
    DUPLICATE,
    Address,
    Busy,
    Entry,
    Json,
    Refused,
    address_of,
    write_units,
)
from tests.support.item_size import UNIT_BYTES
from tests.support.item_size import item_bytes as weigh

READ_UNIT_BYTES = 4096

_NOTHING: Mapping[str, bytes] = {}
PAGE_BYTES_MAX = 1 << 20
"""A page of a query ends after a megabyte."""

Sort = tuple[int | str, Address]
"""Where an item stands in its partition of an index."""


@dataclass(slots=True)
class Units:
    """What requests have taken so far."""

    written: float = 0.0
    read: float = 0.0
    writes_throttled: int = 0
    reads_throttled: int = 0


class OrderedIndex:
    """What one index shows, in the order of its sort key; writes arrive a moment later."""

    def __init__(self, definition: Index, own_keys: Sequence[str]) -> None:
        self.sort_key = definition.sort_key.name
        self._partition_key = definition.partition_key.name
        self._carries = (*own_keys, self._partition_key, self.sort_key, *definition.carries)
        self._entries: dict[Address, tuple[str, int | str, bytes]] = {}
        """Partition and sort key of each, and what it carries, packed."""
        self._orders: dict[str, list[Sort]] = {}
        self._coming: list[tuple[float, int, Address, Entry | None]] = []
        self._writes = 0

    def entry(self, item: Item | None) -> Entry | None:
        """Return what the index carries of an item; None when it is not in it."""
        if item is None:
            return None
        partition, sort = item.get(self._partition_key), item.get(self.sort_key)
        if partition is None or sort is None:
            return None
        return Entry(partition, sort, {name: item[name] for name in self._carries if name in item})

    def show(self, address: Address, entry: Entry | None, *, at: float) -> None:
        """Show an item's new state from `at` on; the last one that was written stays."""
        self._writes += 1
        heapq.heappush(self._coming, (at, self._writes, address, entry))

    def order(self, partition: str, *, now: float) -> Sequence[Sort]:
        """Return where the items of a partition stand, first to last."""
        while self._coming and self._coming[0][0] <= now:
            _, _, address, entry = heapq.heappop(self._coming)
            self._put(address, entry)
        return self._orders.get(partition, ())

    def item(self, address: Address) -> Item:
        """Return an item as the index carries it."""
        return _unpacked(self._entries[address][2])

    def _put(self, address: Address, entry: Entry | None) -> None:
        old = self._entries.pop(address, None)
        if old is not None:
            partition, sort, _ = old
            order = self._orders[partition]
            del order[bisect_left(order, (sort, address))]
        if entry is not None:
            partition, sort = _scalar(entry.partition), _sortable(entry.sort)
            self._entries[address] = partition, sort, _packed(entry.item)
            insort(self._orders.setdefault(partition, []), (sort, address))


@dataclass(frozen=True, slots=True)
class Row:
    """An item, and the same packed, as it is kept."""

    item: Item
    packed: bytes

    def units(self, unit_bytes: int) -> int:
        """Return how many units of so many bytes it weighs.

        Packed it takes more than it weighs, so that few items have to be weighed.
        """
        if len(self.packed) <= unit_bytes:
            return 1
        return max(1, -(-item_bytes(self.item) // unit_bytes))


@dataclass(kw_only=True)
class ScaleTable:
    """The items and the operations on them, each of which takes capacity or is refused it."""

    definition: TableDefinition
    partitions: Partitions
    index_partitions: Callable[[], Partitions]
    """Makes those of an index."""
    lag: Callable[[], float]
    """How many milliseconds an index is behind, for one write."""
    units: Units = field(default_factory=Units)

    def __post_init__(self) -> None:
        keys = (self.definition.partition_key.name, self.definition.sort_key.name)
        self._indexes = {index.name: OrderedIndex(index, keys) for index in self.definition.indexes}
        self._capacity = {index.name: self.index_partitions() for index in self.definition.indexes}
        self._items: dict[str, dict[str, bytes]] = {}
        self._order: dict[str, list[str]] = {}
        """Sort keys of the partitions that are queried, in order."""

    def execute(self, operation: str, request: Json, *, now: float) -> Json:
        """Answer one request; see `SimulatedTable.execute`."""
        match operation:
            case "PutItem" | "UpdateItem":
                return self._single(operation, request, now=now)
            case "BatchExecuteStatement":
                return self._statements(request["Statements"], now=now)
            case "BatchWriteItem":
                return self._write_batch(request, now=now)
            case "BatchGetItem":
                return self._get_batch(request, now=now)
            case "Query":
                return self._query(request, now=now)
            case _:
                raise Unsupported(operation)

    def seed(self, items: Iterable[Item]) -> None:
        """Store items that were there before anything is measured, for nothing."""
        for item in items:
            for index in self._indexes.values():
                entry = index.entry(item)
                if entry is not None:
                    index.show(address_of(item), entry, at=0)
            self._keep(address_of(item), _packed(item))

    def __iter__(self) -> Iterator[Item]:
        """Yield every item."""
        for partition in self._items.values():
            yield from map(_unpacked, partition.values())

    # What is stored

    def _row(self, address: Address) -> Row | None:
        packed = self._items.get(address[0], _NOTHING).get(address[1])
        return None if packed is None else Row(_unpacked(packed), packed)

    def _keep(self, address: Address, packed: bytes | None) -> None:
        pk, sk = address
        partition = self._items.setdefault(pk, {})
        order = self._order.get(pk)
        if order is not None:
            if packed is None and sk in partition:
                del order[bisect_left(order, sk)]
            elif packed is not None and sk not in partition:
                insort(order, sk)
        if packed is None:
            partition.pop(sk, None)
        else:
            partition[sk] = packed

    def _store(self, address: Address, before: Row | None, after: Item | None, now: float) -> bool:
        """Put the item there if its partition and those of the indexes have room for the write."""
        row = None if after is None else Row(after, _packed(after))
        units: float = max(
            each.units(UNIT_BYTES) if each is not None else 1 for each in (before, row)
        )
        needs: list[tuple[Bucket, float]] = [(self.partitions.writes_of(address[0]), units)]
        shown: list[tuple[OrderedIndex, Entry | None]] = []
        for name, index in self._indexes.items():
            old = index.entry(before.item if before is not None else None)
            new = index.entry(after)
            if old is None and new is None:
                continue
            paid = write_units(old, new)
            for entry in (old, new):
                if paid and entry is not None:
                    bucket = self._capacity[name].writes_of(_scalar(entry.partition))
                    needs.append((bucket, paid if new is None or old is None else paid / 2))
            units += paid
            shown.append((index, new))
        if not take_all(needs, now=now):
            self.units.writes_throttled += 1
            return False
        for index, new in shown:
            index.show(address, new, at=now + self.lag())
        self.units.written += units
        self._keep(address, None if row is None else row.packed)
        return True

    def _refuse(self, address: Address, before: Row | None, code: str, now: float) -> Refused:
        """Return the refusal of a write, which is paid for like the write."""
        units = before.units(UNIT_BYTES) if before is not None else 1
        if not self.partitions.writes_of(address[0]).take(units, now=now):
            self.units.writes_throttled += 1
            raise Busy
        self.units.written += units
        return Refused(code, before.item if before is not None else None)

    # Single requests

    def _single(self, operation: str, request: Json, *, now: float) -> Json:
        given = Given(
            request.get("ExpressionAttributeNames", {}),
            request.get("ExpressionAttributeValues", {}),
        )
        address = address_of(request["Item"] if operation == "PutItem" else request["Key"])
        before = self._row(address)
        condition = _condition(request.get("ConditionExpression"))
        if condition is not None and not condition(before.item if before else {}, given):
            raise self._refuse(address, before, CONDITION_FAILED, now)
        if operation == "PutItem":
            after: Item = request["Item"]
        else:
            after = _update(request["UpdateExpression"])(
                before.item if before is not None else request["Key"], given
            )
        if not self._store(address, before, after, now):
            raise Busy
        return {"Attributes": after} if request.get("ReturnValues") == "ALL_NEW" else {}

    # Batches

    def _statements(self, requests: Sequence[Json], *, now: float) -> Json:
        answers: list[Json] = []
        for request in requests:
            try:
                done = self._carry_out(request, now)
            except Refused as refused:
                error: Json = {"Code": refused.code, "Message": "refused"}
                if refused.item is not None and "ReturnValuesOnConditionCheckFailure" in request:
                    error["Item"] = refused.item
                answers.append({"Error": error})
            except Busy:
                answers.append({"Error": {"Code": BUSY, "Message": "no capacity"}})
            else:
                answers.append({} if done else {"Error": {"Code": BUSY, "Message": "no capacity"}})
        return {"Responses": answers}

    def _carry_out(self, request: Json, now: float) -> bool:
        """Carry out one statement; False when there is no capacity for it."""
        statement, parameters = parse_statement(request["Statement"]), request["Parameters"]
        if statement.kind == "insert":
            item = dict(zip(statement.attributes, parameters, strict=True))
            address = address_of(item)
            before = self._row(address)
            if before is not None:
                raise self._refuse(address, before, DUPLICATE, now)
            return self._store(address, None, item, now)
        given = Given(values={f"?{number}": value for number, value in enumerate(parameters)})
        address = _address(statement, given)
        before = self._row(address)
        if before is None and statement.kind == "delete":
            return True  # of one that is not there, nothing is deleted: a success
        holds = before is not None and _holds(statement, before.item, given)
        if before is None or not holds:
            raise self._refuse(address, before, CONDITION_FAILED, now)
        after = None if statement.update is None else statement.update(before.item, given)
        return self._store(address, before, after, now)

    def _write_batch(self, request: Json, *, now: float) -> Json:
        ((table, writes),) = request["RequestItems"].items()
        left = []
        for write in writes:
            item = write.get("PutRequest", {}).get("Item")
            address = address_of(item if item is not None else write["DeleteRequest"]["Key"])
            if not self._store(address, self._row(address), item, now):
                left.append(write)
        return {"UnprocessedItems": {table: left} if left else {}}

    def _get_batch(self, request: Json, *, now: float) -> Json:
        ((table, asked),) = request["RequestItems"].items()
        share = 1.0 if asked["ConsistentRead"] else 0.5
        found, left = [], []
        for key in asked["Keys"]:
            address = address_of(key)
            row = self._row(address)
            units = share * (row.units(READ_UNIT_BYTES) if row is not None else 1)
            if not self._may_read(self.partitions.reads_of(address[0]), units, now):
                left.append(key)
            elif row is not None:
                found.append(row.item)
        unprocessed = {table: {**asked, "Keys": left}} if left else {}
        return {"Responses": {table: found}, "UnprocessedKeys": unprocessed}

    def _may_read(self, bucket: Bucket, units: float, now: float) -> bool:
        if not bucket.take(units, now=now):
            self.units.reads_throttled += 1
            return False
        self.units.read += units
        return True

    # Queries

    def _query(self, request: Json, *, now: float) -> Json:
        names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
        key = _read_key(request["KeyConditionExpression"])
        partition = _scalar(values[key.partition_value])
        name = request.get("IndexName")
        given = Given(names, values)
        rows = (
            self._of_table(partition, key, given, request)
            if name is None
            else self._of_index(self._indexes[name], partition, key, given, request, now)
        )
        limit = request.get("Limit")
        items, size = [], 0
        more = False
        for item in rows:
            items.append(item)
            size += item_bytes(item)
            if len(items) == limit or size > PAGE_BYTES_MAX:
                more = True
                break
        share = 0.5 if name is not None else 1.0
        capacity = self._capacity[name] if name is not None else self.partitions
        if not self._may_read(capacity.reads_of(partition), share * _read_units(size), now):
            raise Busy
        response: Json = {"Items": items}
        if more:
            carried = {"pk", "sk", names[key.partition_name], names[key.sort_name]}
            response["LastEvaluatedKey"] = {each: items[-1][each] for each in carried}
        return response

    def _of_index(
        self,
        index: OrderedIndex,
        partition: str,
        key: "Key",
        given: Given,
        request: Json,
        now: float,
    ) -> Iterator[Item]:
        order = index.order(partition, now=now)
        start = request.get("ExclusiveStartKey")
        first = 0
        if start is not None:
            first = bisect_right(order, (_sortable(start[index.sort_key]), address_of(start)))
        for place in range(first, len(order)):
            sort, address = order[place]
            if not key.holds(sort, given):
                return  # the bound is from above, so nothing that follows is within it
            yield index.item(address)

    def _of_table(self, partition: str, key: "Key", given: Given, request: Json) -> Iterator[Item]:
        items = self._items.get(partition, {})
        order = self._order.get(partition)
        if order is None:
            order = self._order[partition] = sorted(items)
        start = request.get("ExclusiveStartKey")
        descending = not request.get("ScanIndexForward", True)
        low, high = key.span(order, given)
        if start is not None and descending:
            high = min(high, bisect_left(order, start["sk"]["S"]))
        elif start is not None:
            low = max(low, bisect_right(order, start["sk"]["S"]))
        for sort in order[low:high][::-1] if descending else order[low:high]:
            yield _unpacked(items[sort])


@dataclass(frozen=True, slots=True)
class Key:
    """A key condition: one partition, and a bound of the sort key."""

    partition_name: str
    partition_value: str
    sort_name: str
    sign: str
    """`<`, `<=`, `begins_with` or `between`."""
    sort_values: tuple[str, ...]

    def holds(self, sort: int | str, given: Given) -> bool:
        """Say whether a sort key is below the bound; only asked of bounds from above."""
        bound: Any = _sortable(given.values[self.sort_values[0]])
        match self.sign:
            case "<":
                return bool(sort < bound)
            case "<=":
                return bool(sort <= bound)
            case _:
                raise Unsupported(f"{self.sign} on an index")

    def span(self, order: Sequence[str], given: Given) -> tuple[int, int]:
        """Return the places, first and after last, of the sort keys within the bounds."""
        bounds = [str(given.values[value]["S"]) for value in self.sort_values]
        match self.sign:
            case "<":
                return 0, bisect_left(order, bounds[0])
            case "<=":
                return 0, bisect_right(order, bounds[0])
            case "between":
                return bisect_left(order, bounds[0]), bisect_right(order, bounds[1])
            case _:
                low = bisect_left(order, bounds[0])
                return low, bisect_left(order, bounds[0] + "\U0010ffff", low)


@lru_cache(maxsize=64)
def _read_key(text: str) -> Key:
    """Read a key condition as the stores write them; anything else fails loudly."""
    first, _, second = text.partition(" AND ")
    partition_name, sign, partition_value = first.split(" ")
    if sign == "=" and second.startswith("begins_with("):
        sort_name, sort_value = second.removeprefix("begins_with(").rstrip(")").split(", ")
        return Key(partition_name, partition_value, sort_name, "begins_with", (sort_value,))
    words = second.split(" ")
    if sign == "=" and len(words) == 3 and words[1] in {"<", "<="}:
        return Key(partition_name, partition_value, words[0], words[1], (words[2],))
    if sign == "=" and len(words) == 5 and words[1] == "BETWEEN":
        return Key(partition_name, partition_value, words[0], "between", (words[2], words[4]))
    raise Unsupported(text)


def _address(statement: Statement, given: Given) -> Address:
    assert statement.key is not None, "a write names its item"
    assert statement.sort is not None, "a write names its item"
    key, sort = statement.key({}, given), statement.sort({}, given)
    assert key is not None, "the key is a parameter"
    assert sort is not None, "the key is a parameter"
    return key["S"], sort["S"]


def _holds(statement: Statement, item: Item, given: Given) -> bool:
    return statement.condition is None or statement.condition(item, given)


def _condition(text: str | None) -> Condition | None:
    return None if text is None else parse_condition(text).condition


def _update(text: str) -> Update:
    update = parse_update(text).update
    assert update is not None, "an update expression updates"
    return update


def _packed(item: Item) -> bytes:
    # Members of enumerations are text here, as they are once they have been on the wire.
    plain = {n: {"S": str(v["S"])} if "S" in v else v for n, v in item.items()}
    return marshal.dumps(plain)


def _unpacked(packed: bytes) -> Item:
    item: Item = marshal.loads(packed)
    return item


def item_bytes(item: Item) -> int:
    """Return an item's size, as `tests.support.item_size` has it: scalars at once, for speed."""
    total = 0
    for name, value in item.items():
        content = value.get("S")
        if content is not None and content.isascii():
            total += len(name) + len(content)
        elif (digits := value.get("N")) is not None and digits.isdigit():
            total += len(name) + (len(digits.strip("0")) + 1) // 2 + 1
        else:
            total += weigh({name: value})
    return total


def _read_units(size: int) -> int:
    return max(1, -(-size // READ_UNIT_BYTES))


def _scalar(value: Value) -> str:
    return str(next(iter(value.values())))


def _sortable(value: Value) -> int | str:
    return int(value["N"]) if "N" in value else str(value["S"])
