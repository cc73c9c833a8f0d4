"""A deployment of Punctual in virtual time and at scale: the real handlers, AWS as fast as it is.

The code runs as the simulation runs it: every environment has loaded the handlers for itself, and
each invocation is a greenlet on one event loop. What is simulated anew is what AWS limits.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from unittest.mock import patch

from benchmarks.scale.capacity import Partitions
from benchmarks.scale.clients import ScaleClient
from benchmarks.scale.jobs import Standing
from benchmarks.scale.lambdas import EventSource, Function, Pollers, Service, Standard
from benchmarks.scale.latencies import LogNormal, Quantiles
from benchmarks.scale.limits import (
    CALL_CPU,
    CONCURRENCY,
    DELIVERY,
    DELIVERY_FIFO,
    ENTRY_CPU,
    FEW,
    INDEX_LAG,
    NEW_TABLE_WRITES,
    PARTITION_READS,
    PARTITION_WRITES,
    QUEUE_REQUEST,
    REQUEST_CPU,
    TICK_DELAY,
    WRITE_FEW,
    WRITE_MANY,
    WRITE_ONE,
)
from benchmarks.scale.queues import ScaleQueue
from benchmarks.scale.table import ScaleTable
from benchmarks.scale.tally import Tally
from benchmarks.scale.targets import ScaleTargets
from infra import definitions
from infra.definitions import FAST, QUEUES, SHARDS, TABLE
from punctual.core.instants import format_instant, from_epoch_ms
from tests.simulation.clients import Reply
from tests.simulation.dice import Dice
from tests.simulation.lambdas import Environment, Invocation, Process
from tests.simulation.loop import Loop, Wake
from tests.simulation.program import QUIET, Program
from tests.simulation.table import Busy, Refused

Json = dict[str, Any]

SECOND = 1000
MINUTE = 60 * SECOND

EXECUTOR_MB = 384
DISPATCHER_MB = 1024
TICK_MB = 256
"""As `infra/constructs` deploys them; a test holds these three to the templates."""


TARGET = LogNormal(p50=175, p99=600)
"""0.2 s on average, which `punctual cost` takes a call for as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What of a deployment decides how fast it is."""

    shards_per_message: int = 1
    table_writes: int = NEW_TABLE_WRITES
    """Write units a second that table and indexes are ready for: a partition for each thousand."""
    concurrency: int = CONCURRENCY
    pollers: Callable[[], Pollers] = Standard
    """Makes those of the fast lane."""
    target: LogNormal = TARGET
    """How long targets take to answer."""


@dataclass(kw_only=True)
class Cloud:
    """One deployment, and the jobs in it."""

    deployment: Deployment
    tally: Tally
    begins: int
    """When virtual time begins, in milliseconds since 1970: at a full minute."""
    tick_delays: Mapping[int, int | None] = field(default_factory=dict)
    """How late the ticks of some minutes are, None for one that never comes; else as AWS likes.

    Minutes are in milliseconds since 1970, delays in milliseconds.
    """
    seed: int = 0

    def __post_init__(self) -> None:
        assert self.begins % MINUTE == 0, "ticks are at full minutes"
        self.loop = Loop(now=self.begins)
        self._chance = Random(self.seed)
        self._program = Program()
        self._calls = self._program.module("punctual.core.calls")
        self.table = ScaleTable(
            definition=TABLE,
            partitions=self._partitions(),
            index_partitions=self._partitions,
            lag=lambda: INDEX_LAG.draw(self._chance),
        )
        self.queues = {
            definition.name: ScaleQueue(definition=definition) for definition in (FAST, SHARDS)
        }
        self._by_url = {
            _url_of(queue.definition.full_name): queue for queue in self.queues.values()
        }
        self.functions = {f.name: f for f in _functions(self.deployment.shards_per_message)}
        self.service = Service(
            loop=self.loop,
            chance=self._chance,
            dice=Dice(f"scale {self.seed}"),
            network=self,
            program=self._program,
            concurrency=self.deployment.concurrency,
        )
        self._pollers = self.deployment.pollers()
        self.poller_hours = 0.0
        """Of provisioned pollers, so far."""
        self._source("dispatch", SHARDS.name, batch=1, pollers=Standard(), delivery=DELIVERY_FIFO)
        self._source("fast", FAST.name, batch=10, pollers=self._pollers, delivery=DELIVERY)
        self._tick_at(self.begins)
        self.loop.after(SECOND, self._look)

    def stand(self, jobs: Iterable[Standing]) -> None:
        """Put jobs there, each in the middle of its life."""
        fast = self.queues[FAST.name]
        for job in jobs:
            self.table.seed(job.items)
            for run in job.handed_over:
                self.table.seed([run.row])
                fast.seed(run.body, visible_at=run.visible_at)

    def run(self, *, until: int) -> None:
        """Let time pass."""
        with patch.dict(os.environ, QUIET):
            while self.loop.next_at is not None and self.loop.next_at <= until:
                self.loop.step()

    def _source(
        self, function: str, queue: str, *, batch: int, pollers: Pollers, delivery: Quantiles
    ) -> None:
        EventSource(
            loop=self.loop,
            chance=self._chance,
            service=self.service,
            function=self.functions[function],
            queue=self.queues[queue],
            batch=batch,
            pollers=pollers,
            delivery=delivery,
        )

    def _partitions(self) -> Partitions:
        count = -(-self.deployment.table_writes // PARTITION_WRITES)
        return Partitions(count=count, writes=PARTITION_WRITES, reads=PARTITION_READS)

    def _tick_at(self, minute: int) -> None:
        """Have the tick of a minute called within that minute, and arrange the next one."""
        drawn = self._chance.randrange(TICK_DELAY)
        delay = self.tick_delays.get(minute, drawn)
        event = {"time": format_instant(from_epoch_ms(minute))}

        def tick() -> None:
            self.service.invoke(self.functions["tick"], event, lambda _: None)

        if delay is not None:
            self.loop.at(minute + delay, tick)
        self.loop.at(minute + MINUTE, lambda: self._tick_at(minute + MINUTE))

    def _look(self) -> None:
        """Note down once a second how much there is to do."""
        now, fast = self.loop.now, self.queues[FAST.name]
        self.poller_hours += self._pollers.kept / 3600
        self.tally.second(
            now=now,
            waiting=fast.waiting(now),
            in_flight=fast.in_flight,
            executors=self.service.usage["fast"].busy if "fast" in self.service.usage else 0,
        )
        self.loop.at(now + SECOND, self._look)

    # What environments ask of the network

    def client(self, program: Program, service: str, *, config: Any) -> ScaleClient:  # noqa: ANN401, ARG002
        """See `Network.client`."""
        environment = self._environment()
        return ScaleClient(
            service,
            exchange=environment.exchange,
            sleep=environment.sleep,
            draw=environment.draw,
        )

    def process(self, environment: Environment) -> Process:
        """See `Network.process`."""
        function = environment.function
        return Process(environment.program.load(function.handler), function.variables)

    def targets(self, environment: Environment) -> ScaleTargets:
        """See `Network.targets`."""
        return ScaleTargets(
            loop=self.loop,
            chance=self._chance,
            latency=self.deployment.target,
            cpu_ms=CALL_CPU / self.functions[environment.function.name].cpu,
            calls=self._calls,
            called=self.tally.called,
        )

    def exchange(
        self, invocation: Invocation, service: str, operation: str, request: Json
    ) -> Reply:
        """See `Network.exchange`: the client's own time, then the service's."""
        entries = _entries(operation, request)
        cpu = self.functions[invocation.environment.function.name].cpu
        leaves = (REQUEST_CPU + ENTRY_CPU * entries) / cpu
        takes = self._latency(service, entries)
        strand = invocation.strand
        assert strand is not None, "an invocation calls"

        def arrange(wake: Wake) -> None:
            self.loop.after(round(leaves + takes / 2), lambda: arrive(wake))

        def arrive(wake: Wake) -> None:
            reply = self._answer(service, operation, request)
            self.loop.after(round(takes / 2), lambda: wake(lambda: reply))

        answer: Reply = strand.wait(arrange)
        return answer

    def _environment(self) -> Environment:
        strand = self.loop.running
        assert strand is not None, "only invocations have an environment"
        environment: Environment = strand.owner
        return environment

    def _latency(self, service: str, entries: int) -> float:
        if service == "sqs":
            return QUEUE_REQUEST.draw(self._chance)
        if entries == 1:
            return WRITE_ONE.draw(self._chance)
        return (WRITE_FEW if entries <= FEW else WRITE_MANY).draw(self._chance)

    def _answer(self, service: str, operation: str, request: Json) -> Reply:
        now = self.loop.now
        if service == "sqs":
            queue = self._by_url[request["QueueUrl"]]
            return Reply(200, queue.execute(operation, request, now=now))
        try:
            return Reply(200, self.table.execute(operation, request, now=now))
        except Refused as refused:
            item = {} if refused.item is None else {"Item": refused.item}
            return Reply(400, {"Error": {"Code": "ConditionalCheckFailedException"}, **item})
        except Busy:
            code = "ProvisionedThroughputExceededException"
            return Reply(400, {"Error": {"Code": code}})


def _entries(operation: str, request: Json) -> int:
    """Return how many entries a request has."""
    match operation:
        case "BatchExecuteStatement":
            return len(request["Statements"])
        case "BatchWriteItem":
            ((_, writes),) = request["RequestItems"].items()
            return len(writes)
        case "BatchGetItem":
            ((_, asked),) = request["RequestItems"].items()
            return len(asked["Keys"])
        case "SendMessageBatch" | "ChangeMessageVisibilityBatch":
            return len(request["Entries"])
        case _:
            return 1


def _url_of(queue: str) -> str:
    return f"https://aws.invalid/000000000000/{queue}"


def _functions(shards_per_message: int) -> Iterable[Function]:
    variables = {
        "TABLE_NAME": "punctual",
        "FAST_QUEUE_URL": _url_of(FAST.full_name),
        "SLOW_QUEUE_URL": _url_of(QUEUES["slow"].full_name),
        "DEAD_QUEUE_URL": _url_of(QUEUES["dead-letters"].full_name),
        "SHARD_QUEUE_URL": _url_of(SHARDS.full_name),
        "PUBLIC_URL": "https://punctual.example",
        "EXTERNAL_ID": "punctual:scale",
        "RESULTS_BUCKET": "results",
        "SHARDS_PER_MESSAGE": str(shards_per_message),
    }
    for name, folder, timeout, memory_mb, own in (
        ("tick", "tick", definitions.TICK_TIMEOUT, TICK_MB, {}),
        ("dispatch", "dispatch", definitions.DISPATCH_TIMEOUT, DISPATCHER_MB, {}),
        ("fast", "execute", definitions.FAST_TIMEOUT, EXECUTOR_MB, {"LANE": "fast"}),
    ):
        yield Function(
            name=name,
            handler=f"functions.{folder}.handler",
            timeout=timeout,
            variables=variables | own,
            concurrency=CONCURRENCY,
            memory_mb=memory_mb,
        )
