"""One round: jobs are stored, a tick's dispatches hand their runs over, executors carry them out.

`python -m benchmarks.aws.rounds WORKLOAD ARGUMENTS_AS_JSON` runs one in a process of its own, whose
CPU time is that of nothing else, and prints its figures. Time stands still but where a function
waits: then it is later at once.
"""

import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3

from benchmarks.aws.deployed import (
    Context,
    InstantTargets,
    Json,
    batches,
    environment,
    variables,
    wake_ups,
)
from benchmarks.aws.meter import Meter
from benchmarks.aws.stub import StubbedAws, yardstick
from punctual.adapters.dynamodb.job_store import DynamoJobStore
from punctual.adapters.dynamodb.keys import runs_of_life
from punctual.adapters.dynamodb.table import Table
from tests.support.builders import MINUTE, a_content, a_job, a_schedule
from tests.support.clock import NINE, FakeChance, FakeClock
from tests.support.tables import create_queues, create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ARRIVES_EARLY = timedelta(milliseconds=500)
"""How long before its slot a message reaches its executor, on average."""

TENANT = "111122223333"
"""An account, as where requests are signed."""

TOGETHER = 25
"""Jobs that are stored with one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a round does."""

    engine: str
    """`stub`, or where MiniStack answers."""
    jobs: int
    every: int
    """Seconds between the slots of a job."""
    target: str | None
    """Where runs call; None for targets that answer at once and take no CPU."""


class Bench:
    """The functions of one round, loaded and measured."""

    def __init__(self, plan: Plan) -> None:
        from functions.dispatch import handler as dispatch  # noqa: PLC0415 - after the environment
        from functions.execute import handler as execute  # noqa: PLC0415
        from punctual.runtime import wiring  # noqa: PLC0415

        self._plan = plan
        self._dispatch = dispatch.lambda_handler
        self._execute = execute.lambda_handler
        self.clock = FakeClock(NINE)
        wiring.clock = self.clock
        if plan.target is None:
            targets = InstantTargets()
            setattr(wiring, "targets", lambda: targets)  # noqa: B010 - in place of a function
        self.meter = Meter()
        self._stub: StubbedAws | None = None
        clients = (wiring.dynamodb(), wiring.sqs())
        if plan.engine == "stub":
            self._stub = StubbedAws(clock=self.clock, meter=self.meter)
            for client in clients:
                self._stub.serve(client)
        self._create_jobs(clients[0])
        for client in clients:
            self.meter.watch(client)

    def dispatch(self) -> Json:
        """Hand over what one tick finds due; the figures are per run handed over."""
        with self._measured() as figures:
            for woken in wake_ups():
                self._dispatch(woken, Context())
            figures["runs"] = len(self.meter.messages)
        return figures

    def execute(self) -> Json:
        """Carry out what a tick's dispatches hand over; the figures are of this alone."""
        self.dispatch()
        arrived = batches(self.meter.messages, now=self.clock.now())
        with self._measured() as figures:
            figures["runs"] = len(self.meter.messages)
            for slot, batch in arrived:
                self.clock.set(max(self.clock.now(), slot - ARRIVES_EARLY))
                failed = self._execute(batch, Context())["batchItemFailures"]
                assert not failed, "every run ends with its first attempt"
        return figures

    @contextmanager
    def _measured(self) -> Iterator[Json]:
        """Fill in what is counted within, per run: `runs` says how many there were."""
        meter = self.meter
        meter.start()
        units = self._stub.spent.units if self._stub else 0
        figures: Json = {}
        before = meter.cpu_seconds()
        yield figures
        took = meter.cpu_seconds() - before
        runs = figures["runs"]
        assert runs == self._expected(), "every slot of the window is handed over"
        figures["cpu_s_per_1k"] = round(took / runs * 1000, 4)
        if self._stub:
            figures["write_units_per_run"] = round((self._stub.spent.units - units) / runs, 3)
            kept = self._stub.bytes_kept(beginning=runs_of_life(1))
            figures["bytes_kept_per_run"] = round(kept / runs)
        figures |= meter.per_run(runs)
        figures["yardstick_ms"] = round(yardstick(), 3)
        figures["rss_max_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    def _expected(self) -> int:
        """Return how many runs one visit of every job hands over."""
        from punctual.core.dispatch import AHEAD_MAX, AHEAD_SLOTS  # noqa: PLC0415

        # The first slot is a minute ahead of the visit.
        further = (AHEAD_MAX - MINUTE) // timedelta(seconds=self._plan.every)
        return self._plan.jobs * min(AHEAD_SLOTS, 1 + further)

    def _create_jobs(self, dynamodb: "DynamoDBClient") -> None:
        """Store jobs whose first slot is a minute away, each with a target of its own."""
        from punctual.core.records import content_ref  # noqa: PLC0415

        table = Table(dynamodb, os.environ["TABLE_NAME"], clock=self.clock, chance=FakeChance())
        store = DynamoJobStore(table, clock=self.clock)
        schedule = a_schedule(timedelta(seconds=self._plan.every), anchor=NINE + MINUTE)
        target = self._plan.target or "https://example.com/"
        new = []
        for number in range(self._plan.jobs):
            content = a_content(f"{target}?job={number}", body='{"hello":"world"}')
            job = a_job(
                f"nightly-report-{number:05}",
                tenant=TENANT,
                schedule=schedule,
                content=content_ref(content),
            )
            new.append((job, content))
        for first in range(0, len(new), TOGETHER):
            assert all(store.create_new(new[first : first + TOGETHER])), "the table is empty"


def run(workload: str, plan: Plan) -> Json:
    """Run one round in this process, which must be its own."""
    with ExitStack() as stack:
        if plan.engine == "stub":
            stack.enter_context(environment(variables()))
        else:
            stack.enter_context(environment(variables() | {"AWS_ENDPOINT_URL": plan.engine}))
            own = f"punctual-{os.getpid()}"
            create_table(boto3.client("dynamodb"), own)
            urls = create_queues(boto3.client("sqs"), prefix=f"{own}-")
            stack.enter_context(patch.dict(os.environ, variables(table=own, queue_urls=urls)))
        bench = Bench(plan)
        workloads: dict[str, Callable[[], Json]] = {
            "dispatch": bench.dispatch,
            "execute": bench.execute,
        }
        return workloads[workload]()


def main() -> None:
    """Run what the command line says, and print its figures; what functions log goes nowhere."""
    output = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    arguments: dict[str, Any] = json.loads(sys.argv[2])
    print(json.dumps(run(sys.argv[1], Plan(**arguments))), file=output)


if __name__ == "__main__":
    main()
