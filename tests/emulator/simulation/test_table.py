"""The simulated table answers as an emulated one does, whatever production's own code asks of it.

Both are asked by production's `Table`: its conditional writes with every change that the stores
make, in either of DynamoDB's languages, its batches, its queries. What is in the items is random.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from infra.definitions import TABLE
from punctual.adapters.dynamodb import job_store, moves, run_store
from punctual.adapters.dynamodb.table import Table
from punctual.adapters.dynamodb.writes import Change, Delete, Insert, Update, Write, expressions
from tests.simulation.expressions import Invalid
from tests.simulation.table import Address, Refused, SimulatedTable
from tests.support.aws_engine import client
from tests.support.clock import FakeChance, FakeClock

pytestmark = pytest.mark.emulator

Json = dict[str, Any]

WEIGHED = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
"""Requests of which the emulator tells what they cost, indexes included."""


class Bill:
    """Adds up what the simulated table is paid."""

    def __init__(self) -> None:
        self.units = 0

    def item_written(self, address: Address, before: object, after: object) -> None:
        """See `Observer.item_written`."""

    def units_paid(self, _: Address, units: int) -> None:
        """See `Observer.units_paid`."""
        self.units += units


class TwinClient:
    """A client whose requests both tables are asked, and must answer alike."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb
        self.meta = dynamodb.meta
        self._bill = Bill()
        self._simulated = SimulatedTable(definition=TABLE, observer=self._bill)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        operation = self._dynamodb.meta.method_to_api_mapping[method]

        def ask(**request: Any) -> Any:
            weigh = {"ReturnConsumedCapacity": "INDEXES"} if operation in WEIGHED else {}
            problem: ClientError | None = None
            response: Json = {}
            try:
                response = getattr(self._dynamodb, method)(**request, **weigh)
            except ClientError as error:
                problem = error
                wanted = error.response["Error"]["Code"], error.response.get("Item")
            else:
                wanted = "", _plain(operation, response)
            self._bill.units = 0
            assert self._simulated_answer(operation, request) == wanted, f"{operation} {request}"
            if problem is not None:
                raise problem
            if weigh:
                assert self._bill.units == response["ConsumedCapacity"]["CapacityUnits"], request
            return response

        return ask

    def _simulated_answer(self, operation: str, request: Json) -> tuple[str, Json | None]:
        try:
            return "", _plain(operation, self._simulated.execute(operation, request, now=0))
        except Refused as refused:
            item = None if refused.item is None else dict(refused.item)
            return "ConditionalCheckFailedException", item
        except Invalid:
            return "ValidationException", None


@dataclass(frozen=True, kw_only=True)
class Twins:
    """Production's way to the two tables."""

    batched: Table
    """Writes share requests, in PartiQL."""
    single: Table
    """Every write is a request of its own."""


def _plain(operation: str, response: Json) -> Json:
    """Return what an answer says, without what differs from one request to the next."""
    match operation:
        case "BatchExecuteStatement":
            errors = [entry.get("Error", {}) for entry in response["Responses"]]
            return {"errors": [(e.get("Code"), e.get("Item") or None) for e in errors]}
        case "BatchGetItem":
            ((_, items),) = response["Responses"].items()
            found = sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))
            return {"items": found, "left": response["UnprocessedKeys"]}
        case "Query":
            return {"items": response["Items"], "last": response.get("LastEvaluatedKey")}
        case _:
            return {
                name: value
                for name, value in response.items()
                if name not in {"ConsumedCapacity", "ResponseMetadata"}
            }


@pytest.fixture(scope="module")
def twins(ministack: str) -> Iterator[Twins]:
    """Two empty tables, of which the emulated one deletes nothing by itself."""
    dynamodb = client("dynamodb", ministack)
    name = f"twins-{uuid4().hex[:12]}"
    dynamodb.create_table(**TABLE.create_arguments(name))
    twin: Any = TwinClient(dynamodb)
    clock, chance = FakeClock(), FakeChance()
    yield Twins(
        batched=Table(twin, name, clock=clock, chance=chance),
        single=Table(twin, name, clock=clock, chance=chance, batches=False),
    )
    dynamodb.delete_table(TableName=name)


# What is asked

QUICK = settings(
    max_examples=50,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
"""Without shrinking, which over sockets takes minutes; and however busy the machine is."""

PARTITIONS = count()
"""One for each example, so that none finds what another one left."""

SORTS = ("JOB", "R#1#a", "R#1#b", "R#2#a", "M#1#a")

NUMBERS = (
    "accepted",
    "cancel_requested_at",
    "due_at",
    "lease_until",
    "next_slot",
    "ordinal",
    "retry_at",
    "schedule_revision",
    "ttl",
)
TEXTS = ("announced_by", "content", "owner", "pause_note", "reason", "state")
LISTS = ("failures", "starts")
COUNTS = ("attempt", "attempts_left", "revision", "touched")
"""In every item, like the lists: production changes them without asking whether they exist."""

WORDS = ("queued", "running", "retrying", "active", "paused", "deleted", "a", "b", "é" * 600)

CHANGES = [
    change
    for module in (moves, job_store, run_store)
    for change in vars(module).values()
    if isinstance(change, Change)
]
CHANGES += [moves._wait(1), moves._wait(2)]
CHANGES += [moves._hold(n, is_first=is_first) for n in (1, 2) for is_first in (True, False)]
CHANGES += [
    moves._outcome(when, ("state", "finished_at", "finished_by", "ttl", "error"))
    for when in (moves.HELD, moves.REAPABLE, moves.SPENT)
]

DELETES = (moves.VOIDABLE, moves.QUEUED_AS_SEEN, run_store.ANNOUNCED)

numbers = st.integers(-1, 4).map(lambda n: {"N": str(n)})
instants = st.sampled_from([2, 4, 1_796_115_600_000]).map(lambda n: {"N": str(n)})
texts = st.sampled_from(WORDS).map(lambda word: {"S": word})
states = st.sampled_from(["running"] * 4 + ["queued", "retrying", "active"]).map(
    lambda state: {"S": state}
)
owners = st.sampled_from("aaab").map(lambda owner: {"S": owner})
scalars = st.one_of(numbers, instants, texts)
lists = st.lists(scalars, max_size=3).map(lambda elements: {"L": elements})


@st.composite
def _mostly(draw: st.DrawFn, kind: st.SearchStrategy[Any]) -> Any:
    """Of this kind, seldom of any, and None for an attribute that is not there."""
    number = draw(st.integers(0, 9))
    return draw(kind) if number < 7 else draw(scalars) if number < 8 else None


@st.composite
def items(draw: st.DrawFn, partition: int, sort: str) -> Json:
    """An item of any kind, with some of the attributes that production gives to its own."""
    item: Json = {"pk": {"S": f"J#{partition}"}, "sk": {"S": sort}}
    item |= {name: draw(numbers) for name in COUNTS}
    item |= {name: draw(lists) for name in LISTS}
    some = {name: draw(_mostly(numbers)) for name in NUMBERS}
    some |= {name: draw(_mostly(texts)) for name in TEXTS}
    some |= {"state": draw(_mostly(states)), "owner": draw(_mostly(owners))}
    # Never of another type, since items are ordered by it in an index.
    some["due_at"] = draw(st.one_of(st.none(), numbers, instants))
    some["cancel_requested_at"] = draw(st.one_of(st.none(), numbers))
    if draw(st.booleans()):
        some |= {"due_shard": {"N": str(partition)}, "tenant": {"S": f"t{partition}"}}
        some |= {
            "job_id": {"S": sort},
            "failed_in": {"S": f"t{partition}"},
            "failed_at": {"N": "1"},
        }
    return item | {name: value for name, value in some.items() if value is not None}


@st.composite
def values_of(draw: st.DrawFn, change: Change, item: Json) -> Json:
    """Values for a change of an item: mostly such that it is applied."""
    asked = {name: (attribute, sign) for attribute, sign, name in _ASKED.findall(change.when)}
    values: Json = {}
    for name in sorted(expressions(change).value_names):
        about = name.removeprefix(":new_").removeprefix(":")
        if name in {":zero", ":one"}:
            values[name] = {"N": str(int(name == ":one"))}
        elif about in WORDS:
            values[name] = {"S": about}
        elif name in asked and draw(st.integers(0, 9)) < 9:
            attribute, sign = asked[name]
            values[name] = _met_by(item.get(attribute, {"N": "1"}), sign)
        elif about in {"failure", "error"}:
            values[name] = {"M": {"at": draw(numbers), "type": draw(texts)}}
        elif about in TEXTS or about in {"delivery", "lane", "note", "finished_by"}:
            values[name] = draw(texts)
        else:
            values[name] = draw(st.one_of(numbers, instants))
    return values


_ASKED = re.compile(r"#([a-z_]+) (=|<|<=|>|>=) (:[a-z_]+)")


def _met_by(value: Json, sign: str) -> Json:
    """Return what a value is to be compared with so that the comparison holds."""
    if "N" not in value:
        return value
    return {"N": str(int(value["N"]) + {"<": 1, ">": -1}.get(sign, 0))}


@st.composite
def conditions(draw: st.DrawFn) -> str:
    """A condition of the kind that the stores ask: comparisons and existence, all to be met."""
    atoms = []
    for number in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(COUNTS + NUMBERS + TEXTS + LISTS))
        signs = ["="] if name in LISTS else ["=", "<", "<=", ">", ">="]
        shape = draw(st.sampled_from([*signs, "exists", "not_exists"]))
        if "exists" in shape:
            atoms.append(f"attribute_{shape}(#{name})")
        else:
            atoms.append(f"#{name} {shape} :value_{'abc'[number]}")
    return " AND ".join(atoms)


@st.composite
def writes(draw: st.DrawFn, partition: int, sort: str, item: Json | None) -> Write:
    """A conditional write of one item: one that production makes, or one like it."""
    key = {"pk": {"S": f"J#{partition}"}, "sk": {"S": sort}}
    if item is None:
        return Insert(item=draw(items(partition, sort)))
    match draw(st.sampled_from(["insert", "update", "update", "update", "delete", "any update"])):
        case "insert":
            return Insert(item=draw(items(partition, sort)))
        case "update":
            change = draw(st.sampled_from(CHANGES))
        case "delete":
            when = draw(st.sampled_from(DELETES))
            return Delete(key=key, when=when, values=draw(values_of(Change(when=when), item)))
        case _:
            change = Change(
                when=draw(conditions()),
                sets=("#attempt = #attempt - :one", "#starts[1] = :now", "#reason = :now"),
                removes=draw(st.sampled_from([(), ("#owner",), ("#failures[0]", "#due_at")])),
            )
    return Update(key=key, change=change, values=draw(values_of(change, item)))


@st.composite
def rounds(draw: st.DrawFn, partition: int, there: Mapping[str, Json]) -> Sequence[Write]:
    """Writes of different items, which share a request where they can."""
    sorts = draw(st.lists(st.sampled_from(SORTS), min_size=2, unique=True))
    return [draw(writes(partition, sort, there.get(sort))) for sort in sorts]


# What is the same


def everything(table: Table, partition: int) -> list[Mapping[str, Any]]:
    """Read a partition, and what each index shows of it: alike, or an assertion fails."""
    number, tenant = {":id": {"N": str(partition)}}, {":id": {"S": f"t{partition}"}}
    pages = [
        table.query("#pk = :pk", values={":pk": {"S": f"J#{partition}"}}, limit=2),
        table.query("#due_shard = :id", values=number, index="due", limit=2),
        table.query("#tenant = :id", values=tenant, index="jobs", descending=True),
        table.query("#failed_in = :id", values=tenant, index="failed", limit=1),
    ]
    return [item for query in pages for page in query for item in page]


@given(data=st.data())
@QUICK
def test_conditional_writes_are_applied_and_refused_alike(
    twins: Twins, data: st.DataObject
) -> None:
    """In answers, in what is there afterwards, in the indexes, and for single writes in cost."""
    partition = next(PARTITIONS)
    pk = {"pk": {"S": f"J#{partition}"}}
    stored = data.draw(st.lists(st.sampled_from(SORTS), min_size=3, unique=True))
    twins.batched.put_all([data.draw(items(partition, sort)) for sort in stored])
    for _ in range(data.draw(st.integers(1, 5))):
        table = data.draw(st.sampled_from([twins.batched, twins.single]))
        found = twins.batched.get([{**pk, "sk": {"S": sort}} for sort in SORTS])
        there = {item["sk"]["S"]: dict(item) for item in found}
        table.write(data.draw(rounds(partition, there)))
    everything(twins.batched, partition)


@given(data=st.data())
@QUICK
def test_whole_items_are_replaced_and_gone_alike(twins: Twins, data: st.DataObject) -> None:
    """Jobs are put under a condition, contents without one; watch rows come and go in batches."""
    partition = next(PARTITIONS)
    stored = data.draw(st.lists(st.sampled_from(SORTS), min_size=1, unique=True))
    twins.batched.put_all([data.draw(items(partition, sort)) for sort in stored])
    sort = data.draw(st.sampled_from(SORTS))
    key = {"pk": {"S": f"J#{partition}"}, "sk": {"S": sort}}
    found = twins.batched.get([key])
    when = f"attribute_not_exists(#pk) OR #ttl <= :now OR ({data.draw(conditions())})"
    values = data.draw(values_of(Change(when=when), dict(found[0]) if found else {}))
    twins.batched.put(data.draw(items(partition, sort)), when=when, values=values)
    twins.batched.upsert(
        {**key, "sk": {"S": "P#content"}},
        update=(
            "SET #content = :content, #touched = if_not_exists(#touched, :zero) + :one REMOVE #ttl"
        ),
        names={"#content": "content", "#touched": "touched", "#ttl": "ttl"},
        values={":content": data.draw(texts), ":zero": {"N": "0"}, ":one": {"N": "1"}},
    )
    twins.batched.get([{**key, "sk": {"S": name}} for name in SORTS])
    gone = data.draw(st.lists(st.sampled_from(SORTS), min_size=1, unique=True))
    twins.batched.delete_all([{**key, "sk": {"S": name}} for name in gone])
    everything(twins.batched, partition)


@given(data=st.data())
@QUICK
def test_queries_find_alike(twins: Twins, data: st.DataObject) -> None:
    """Page by page, in either direction, by every key condition that the stores have."""
    partition = next(PARTITIONS)
    stored = data.draw(st.lists(st.sampled_from(SORTS), unique=True))
    twins.batched.put_all([data.draw(items(partition, sort)) for sort in stored])
    pk = {":pk": {"S": f"J#{partition}"}}
    first, last = data.draw(st.tuples(st.sampled_from(SORTS), st.sampled_from(SORTS)).map(sorted))
    bounds = {":first": {"S": first}, ":last": {"S": last}}
    shapes: list[tuple[str, Mapping[str, Any], str | None]] = [
        ("#pk = :pk AND #sk BETWEEN :first AND :last", {**pk, **bounds}, None),
        ("#pk = :pk AND begins_with(#sk, :life)", {**pk, ":life": {"S": first[:4]}}, None),
        ("#pk = :pk AND #sk < :next_minute", {**pk, ":next_minute": {"S": last}}, None),
        (
            "#due_shard = :shard AND #due_at <= :until",
            {":shard": {"N": str(partition)}, ":until": data.draw(numbers)},
            "due",
        ),
        (
            "#tenant = :tenant AND #job_id BETWEEN :first AND :last",
            {":tenant": {"S": f"t{partition}"}, **bounds},
            "jobs",
        ),
    ]
    limit = data.draw(st.sampled_from([None, 1, 2, 3]))
    descending = data.draw(st.booleans())
    for condition, values, index in shapes:
        query = twins.batched.query(
            condition, values=values, index=index, limit=limit, descending=descending
        )
        assert sum(len(page) for page in query) <= len(stored)
