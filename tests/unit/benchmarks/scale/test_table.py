"""The table at scale answers and bills like the simulation's own, until its capacity is used up."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from benchmarks.scale.capacity import Partitions
from benchmarks.scale.clients import ScaleClient
from benchmarks.scale.table import ScaleTable, item_bytes
from infra.definitions import TABLE
from punctual.adapters.dynamodb.job_store import DynamoJobStore
from punctual.adapters.dynamodb.run_store import DynamoRunStore
from punctual.adapters.dynamodb.table import Table
from punctual.adapters.dynamodb.watch_list import DynamoWatchList
from punctual.core.dispatch import LOOK_AHEAD, plan_visit
from punctual.core.identity import RunKey
from punctual.core.jobs import Job
from punctual.core.runs import Finish, Run, Start
from punctual.core.watching import Reference, WatchRow
from tests.simulation.clients import Reply
from tests.simulation.expressions import Item
from tests.simulation.table import Address, Busy, Json, Refused, SimulatedTable
from tests.support import item_size
from tests.support.builders import MINUTE, SECOND, a_job, an_ending
from tests.support.clock import NINE, FakeChance, FakeClock

Execute = Callable[[str, Json], Json]


class Paid:
    """Adds up what the simulation's table bills."""

    def __init__(self) -> None:
        self.units = 0.0

    def item_written(self, _: Address, before: Item | None, after: Item | None) -> None:
        assert before != after or before is not None, "something was written"

    def units_paid(self, _: Address, units: int) -> None:
        self.units += units


def a_table(*, writes: float = 1e9, reads: float = 1e9) -> ScaleTable:
    return ScaleTable(
        definition=TABLE,
        partitions=Partitions(count=1, writes=writes, reads=reads),
        index_partitions=lambda: Partitions(count=1, writes=1e9, reads=1e9),
        lag=lambda: 0.0,
    )


def client_of(execute: Execute) -> Any:
    def exchange(_service: str, operation: str, request: Json) -> Reply:
        try:
            return Reply(200, execute(operation, request))
        except Refused as refused:
            item = {} if refused.item is None else {"Item": refused.item}
            return Reply(400, {"Error": {"Code": "ConditionalCheckFailedException"}, **item})
        except Busy:
            return Reply(400, {"Error": {"Code": "ProvisionedThroughputExceededException"}})

    return ScaleClient("dynamodb", exchange=exchange, sleep=lambda _: None, draw=lambda: 0.5)


def stores(execute: Execute) -> tuple[DynamoJobStore, DynamoRunStore, DynamoWatchList]:
    clock = FakeClock()
    table = Table(client_of(execute), "punctual", clock=clock, chance=FakeChance())
    jobs, runs = DynamoJobStore(table, clock=clock), DynamoRunStore(table, clock=clock)
    return jobs, runs, DynamoWatchList(table)


def some_jobs() -> list[Job]:
    return [a_job(f"job-{number}", next_slot=NINE + MINUTE) for number in range(30)]


def starts(runs: Sequence[Run]) -> list[Start]:
    return [
        Start(key=r.key, owner="o" * 22, now=r.scheduled_at, lease_until=r.scheduled_at + MINUTE)
        for r in runs
    ]


def a_life(execute: Execute) -> list[object]:
    """Create jobs, visit them and carry runs out, some of it twice; return every answer."""
    jobs, runs, watch = stores(execute)
    told: list[object] = [jobs.create(job) for job in some_jobs()]
    due = [job for page in jobs.due(range(64), until=NINE + LOOK_AHEAD) for job in page]
    told.append(sorted(due, key=lambda job: job.key))
    visits = [visit for job in due if (visit := plan_visit(job, now=NINE)) is not None]
    handed_over = sorted(
        (run for visit in visits for run in visit.runs), key=lambda run: (run.key.job, run.key.name)
    )
    told += [runs.insert(handed_over), runs.insert(handed_over)]
    claims = sorted((visit.claim for visit in visits), key=lambda claim: claim.key)
    told += [jobs.claim(claims), jobs.claim(claims)]
    row = WatchRow(
        shard=7,
        minute=NINE + 15 * MINUTE,
        row_id="row",
        references=tuple(Reference(run.key, 1) for run in handed_over[:20]),
    )
    told.append(watch.add([row]))
    told += [list(watch.due([7], now=NINE + timedelta(minutes=at))) for at in (14, 15)]
    watch.remove([row])
    told.append(list(watch.due([7], now=NINE + 20 * MINUTE)))
    few = handed_over[:12]
    told += [runs.move(starts(few)), runs.move(starts(few[:1]))]
    told.append(
        runs.move(
            [
                Finish(
                    key=run.key,
                    owner="o" * 22,
                    ending=an_ending(at=run.scheduled_at + SECOND),
                    scheduled_at=run.scheduled_at,
                )
                for run in few
            ]
        )
    )
    stranger = RunKey.of_slot(few[0].key.job, incarnation=9, slot=NINE)
    told.append(runs.read([*(run.key for run in few), stranger]))
    told.append(jobs.read([job.key for job in some_jobs()]))
    for before in (None, few[5].key.name):
        told.append(runs.list(few[0].key.job, incarnation=1, before=before, limit=4))
    told.append([job for page in jobs.due(range(64), until=NINE + LOOK_AHEAD) for job in page])
    return told


def test_it_answers_and_bills_as_the_table_of_the_simulation_does() -> None:
    paid = Paid()
    simulated, scaled = SimulatedTable(definition=TABLE, observer=paid), a_table()

    expected = a_life(lambda operation, request: simulated.execute(operation, request, now=0))
    told = a_life(lambda operation, request: scaled.execute(operation, request, now=0))

    assert told == expected
    assert scaled.units.written == paid.units


def test_a_partition_writes_no_more_than_its_units_and_the_rest_a_moment_later() -> None:
    table = a_table(writes=100)
    clock = [0]
    _, runs, _ = stores(lambda operation, request: table.execute(operation, request, now=clock[0]))
    visits = [plan_visit(job, now=NINE) for job in some_jobs()]
    handed_over = [run for visit in visits if visit is not None for run in visit.runs]
    assert len(handed_over) > 200

    first = runs.insert(handed_over)
    clock[0] += 1000
    second = runs.insert(handed_over)

    assert sum(first) == 100
    # A row that is there costs a unit as well: the same hundred are refused for it.
    assert table.units.written == 200
    assert table.units.writes_throttled > 0
    assert sum(second) == 100


def test_a_partition_reads_no_more_than_its_units() -> None:
    table = a_table(reads=10)
    jobs, _, _ = stores(lambda operation, request: table.execute(operation, request, now=0))
    for job in some_jobs():
        jobs.create(job)

    with pytest.raises(Exception, match="busy"):
        jobs.read([job.key for job in some_jobs()])

    assert table.units.read == 10


@pytest.mark.parametrize(
    "item",
    [
        {"pk": {"S": "J#acme#a"}, "sk": {"S": "JOB"}, "due_at": {"N": "1796115600000"}},
        {"pk": {"S": "J#ačme#ž"}, "n": {"N": "0"}, "m": {"N": "-12.50"}},
        {"body": {"B": b"12345"}, "starts": {"L": [{"N": "17"}, {"S": "x"}]}, "b": {"BOOL": True}},
    ],
)
def test_items_weigh_what_they_weigh_elsewhere(item: Item) -> None:
    assert item_bytes(item) == item_size.item_bytes(item)
