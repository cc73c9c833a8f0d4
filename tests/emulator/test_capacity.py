"""What a run costs: write units by table and index, and requests, of the parts working together.

A batch is billed like the single writes in it, but emulators count what indexes add for single
writes only. So units are counted over an engine that sends every write alone, and requests over
one that shares them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from punctual.cli.bill import write_units
from punctual.core.calls import HttpCall
from punctual.core.dispatch import plan_visit
from punctual.core.jobs import Job
from punctual.core.records import content_ref
from punctual.core.runs import Finish, Run, Start, after
from punctual.core.schedules import At, Schedule
from punctual.ports import Message
from punctual.services.dispatch import Dispatch
from tests.support.aws_engine import client, make_engine
from tests.support.builders import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    a_content,
    a_job,
    a_run,
    a_schedule,
    an_ending,
)
from tests.support.clock import NINE, FakeChance, FakeClock
from tests.support.deployment import Deployment
from tests.support.engines import Engine
from tests.support.virtual_targets import VirtualTargets

pytestmark = pytest.mark.emulator

REPORTS_BACK = a_content(completion="callback")

JOBS = 25
"""As many as are visited together."""


@dataclass(kw_only=True)
class Bill:
    """What the requests of a client cost so far."""

    units: float = 0
    """Write units, those of indexes included."""
    requests: Counter[str] = field(default_factory=Counter)
    """By operation."""

    def watch(self, dynamodb: DynamoDBClient) -> None:
        """Have every answer of the client added up."""
        events = dynamodb.meta.events
        events.register("provide-client-params.dynamodb", self._ask)
        events.register("after-call.dynamodb", self._add)

    def _ask(self, params: dict[str, Any], model: Any, **_: object) -> None:
        self.requests[model.name] += 1
        if "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "INDEXES"

    def _add(self, parsed: dict[str, Any], model: Any, **_: object) -> None:
        if model.name in {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"}:
            consumed = parsed["ConsumedCapacity"]
            for table in consumed if isinstance(consumed, list) else [consumed]:
                self.units += table["CapacityUnits"]


@contextmanager
def billed(endpoint: str, *, batches: bool) -> Iterator[tuple[Engine, Bill]]:
    """Open an engine whose requests are counted from the first job on."""
    dynamodb = client("dynamodb", endpoint)
    engine = make_engine(dynamodb, client("sqs", endpoint), clock=FakeClock(), batches=batches)
    bill = Bill()
    bill.watch(dynamodb)
    yield engine, bill


def create(engine: Engine, jobs: Sequence[Job]) -> None:
    """Create jobs with their contents."""
    for job in jobs:
        engine.jobs.put_content(job.key, job.content, a_content())
        assert engine.jobs.create(job) is None


def jobs_every(period: timedelta) -> list[Job]:
    """Return jobs of one tenant whose first slot is a minute away."""
    schedule = a_schedule(period, anchor=NINE + MINUTE)
    return [
        a_job(f"nightly-report-{number}", schedule=schedule, next_slot=NINE + MINUTE)
        for number in range(JOBS)
    ]


def carry_out_once(engine: Engine, jobs: Sequence[Job]) -> int:
    """Visit the jobs, start and finish what was handed over, and clear the watch; count the runs.

    Executors take ten runs at a time.
    """
    dispatch = Dispatch(
        jobs=engine.jobs,
        runs=engine.runs,
        watch_list=engine.watch_list,
        queue=engine.queue,
        beats=engine.beats,
        clock=engine.clock,
        chance=FakeChance(),
        transact=engine.transact,
    )
    handed_over = [
        run
        for job in jobs
        if (visit := plan_visit(job, now=engine.clock.now())) is not None
        for run in visit.runs
    ]
    shards = sorted({job.shard for job in jobs})
    dispatched = dispatch(shards, deadline=NINE + HOUR)
    assert dispatched.slots == len(handed_over)
    for first in range(0, len(handed_over), 10):
        carry_out(engine, handed_over[first : first + 10])
    for rows in engine.watch_list.due(range(64), now=NINE + 3 * HOUR):
        engine.watch_list.remove(rows)
    return len(handed_over)


def carry_out(engine: Engine, runs: Sequence[Run]) -> None:
    """Start a batch of runs and finish each with an answer as long as is kept."""
    starts = [start_of(run) for run in runs]
    assert all(moved.applied for moved in engine.runs.move(starts))
    ends = [
        Finish(
            key=run.key,
            owner="o" * 22,
            ending=an_ending(at=run.scheduled_at + SECOND),
            scheduled_at=run.scheduled_at,
        )
        for run in runs
    ]
    assert all(moved.applied for moved in engine.runs.move(ends))


def start_of(run: Run) -> Start:
    """Return the start of a run by whoever got the message of its visit."""
    return Start(
        key=run.key,
        owner="o" * 22,
        now=run.scheduled_at,
        lease_until=run.scheduled_at + MINUTE,
        handed_over=run,
    )


@pytest.mark.parametrize(("period", "units_max"), [(MINUTE, 3.5), (5 * MINUTE, 4.5), (HOUR, 6.2)])
def test_a_run_costs_no_more_units_than_promised(
    ministack: str, period: timedelta, units_max: float
) -> None:
    with billed(ministack, batches=False) as (engine, bill):
        jobs = jobs_every(period)
        create(engine, jobs)
        bill.units = 0

        count = carry_out_once(engine, jobs)

        per_run = (bill.units - 1) / count  # one unit is the dispatch's own sign of life
        assert per_run <= units_max
        assert per_run == pytest.approx(write_units(period), rel=0.02)


def test_a_one_shot_costs_no_more_units_than_promised_in_its_whole_life(ministack: str) -> None:
    with billed(ministack, batches=False) as (engine, bill):
        schedule = Schedule(rule=At(at=NINE + MINUTE))
        jobs = [
            a_job(f"reminder-{number}", schedule=schedule, next_slot=NINE + MINUTE)
            for number in range(JOBS)
        ]

        create(engine, jobs)
        assert carry_out_once(engine, jobs) == JOBS

        assert (bill.units - 1) / JOBS <= 10
        assert (bill.units - 1) / JOBS == pytest.approx(write_units(None), rel=0.02)


def test_writes_share_requests(ministack: str) -> None:
    """25 rows or claims of a visit, and the starts or the ends of an executor's ten runs."""
    with billed(ministack, batches=True) as (engine, bill):
        jobs = jobs_every(MINUTE)
        create(engine, jobs)
        bill.requests.clear()

        count = carry_out_once(engine, jobs)

        assert bill.requests["BatchExecuteStatement"] / count <= 0.25
        assert not bill.requests.keys() & {"PutItem", "UpdateItem", "DeleteItem", "BatchGetItem"}


def test_starts_of_rows_that_stand_as_they_were_handed_over_take_one_request_and_no_read(
    ministack: str,
) -> None:
    with billed(ministack, batches=True) as (engine, bill):
        runs = [a_run(NINE + n * SECOND) for n in range(10)]
        assert all(engine.runs.insert(runs))
        bill.requests.clear()

        moved = engine.runs.move([start_of(run) for run in runs])

        assert [answer.run for answer in moved] == [after(start_of(run), run) for run in runs]
        assert bill.requests == {"BatchExecuteStatement": 1}


def test_what_was_revised_since_is_started_by_a_second_request(ministack: str) -> None:
    with billed(ministack, batches=True) as (engine, bill):
        runs = [a_run(NINE + n * SECOND) for n in range(10)]
        assert all(engine.runs.insert(runs))
        revised = [replace(run, schedule_revision=2) for run in runs[:3]]
        assert all(engine.runs.insert(revised))
        bill.requests.clear()

        moved = engine.runs.move([start_of(run) for run in runs])

        rows = [*revised, *runs[3:]]
        assert [answer.run for answer in moved] == [after(start_of(row), row) for row in rows]
        assert bill.requests == {"BatchExecuteStatement": 2, "BatchGetItem": 1}


def test_what_was_started_already_costs_no_second_request(ministack: str) -> None:
    with billed(ministack, batches=True) as (engine, bill):
        runs = [a_run(NINE + n * SECOND) for n in range(10)]
        assert all(engine.runs.insert(runs))
        engine.runs.move([replace(start_of(run), owner="another") for run in runs[:3]])
        bill.requests.clear()

        moved = engine.runs.move([start_of(run) for run in runs])

        assert [answer.applied for answer in moved] == [False] * 3 + [True] * 7
        assert bill.requests == {"BatchExecuteStatement": 1}


def test_a_run_whose_target_reports_back_costs_two_units_more_however_often_it_beats(
    ministack: str,
) -> None:
    """One for the acceptance, one for the watch; then one for each heartbeat and each line."""
    with billed(ministack, batches=False) as (engine, bill):
        deployed = Deployment(engine=engine, targets=VirtualTargets(engine.clock))
        job = a_job(
            content=content_ref(REPORTS_BACK), schedule=a_schedule(DAY), next_slot=NINE + DAY
        )
        engine.jobs.put_content(job.key, job.content, REPORTS_BACK)
        assert engine.jobs.create(job) is None
        run = a_run()
        bill.units = 0
        engine.runs.insert([run])

        deployed.execute([Message(key=run.key, receipt="its only one")])

        assert bill.units == 4  # the row, its start, the acceptance, the watch
        call = deployed.targets.calls[0][1]
        assert isinstance(call, HttpCall)
        token = dict(call.headers)["Punctual-Callback-Token"]
        callbacks = deployed.make_callbacks()
        engine.clock.advance(SECOND)
        callbacks.heartbeat(run.key.run_id, token)
        assert bill.units == 5
        callbacks.log(run.key.run_id, token, texts=["loaded 10 rows"])
        assert bill.units == 6
        callbacks.complete(run.key.run_id, token, result="x" * 500)
        assert bill.units == 7
