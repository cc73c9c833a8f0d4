"""The functions as processes over MiniStack, each killed or held at random, several at once."""

import heapq
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from infra.definitions import DEAD_LETTERS, EXHAUSTED, FAST, FAST_TIMEOUT, SHARDS, SLOW
from infra.ministack import ministack
from punctual.adapters.dynamodb.beats import DynamoBeats
from punctual.adapters.dynamodb.job_store import DynamoJobStore
from punctual.adapters.dynamodb.log_store import DynamoLogStore
from punctual.adapters.dynamodb.request_store import DynamoRequestStore
from punctual.adapters.dynamodb.run_store import DynamoRunStore
from punctual.adapters.dynamodb.table import Table
from punctual.adapters.dynamodb.transact import one_by_one
from punctual.adapters.dynamodb.watch_list import DynamoWatchList
from punctual.adapters.sqs.run_queue import SqsRunQueue
from punctual.adapters.system import SystemChance, SystemClock
from punctual.api.app import ApiServices, App, make_app
from punctual.core.execution import LEASE_MARGIN
from punctual.core.jobs import Lane
from punctual.services.asking import Asking
from punctual.services.callbacks import Callbacks
from punctual.services.dispatch import Dispatch
from punctual.services.jobs import Jobs
from punctual.services.runs import Runs
from punctual.services.skipping import Skipping
from tests.kills.judge import Stop
from tests.support.api_client import NOTHING, ApiClient
from tests.support.aws_engine import client
from tests.support.host import Api, Reply
from tests.support.keeping import MemoryResults
from tests.support.tables import create_queues, create_table

ROOT = Path(__file__).parents[2]

TABLE = "punctual"

WORKERS = {"execute": 4, "dispatch": 2, "tick": 1, "dead_letters": 1}
"""How many workers each function has, and how often it is chosen to be hurt."""

HELD = 0.25
"""Share of the faults that hold a worker for a while; the others kill it."""

LONG = 0.4
"""Share of the executors held that are held for longer than their lease."""

SECONDS_PER_KILL = 1.5

RECOVERED_WITHIN_SECONDS = 400.0
"""A look of the watch among it: a run whose messages the queue gave up on waits for one."""


@dataclass(frozen=True, kw_only=True)
class Times:
    """How long things take; everything but the margin of a lease can be configured."""

    life: timedelta
    """Of an invocation of the executors."""
    start: timedelta | None
    """What an executor needs of it to start a run; None for what is deployed."""
    visibility: timedelta
    tick: timedelta
    seconds_per_kill: float

    @property
    def lease_least(self) -> timedelta:
        """The lease of a run that is started at the last moment."""
        return (self.start or timedelta(seconds=35)) + LEASE_MARGIN

    @property
    def lease_most(self) -> timedelta:
        """The lease of a run that is started at once."""
        return self.life + LEASE_MARGIN


SHORT = Times(
    life=timedelta(seconds=6),
    start=timedelta(seconds=3),
    visibility=timedelta(seconds=7),
    tick=timedelta(seconds=4),
    seconds_per_kill=SECONDS_PER_KILL,
)
"""Takeovers within seconds, so that there are many."""

DEPLOYED = Times(
    life=FAST_TIMEOUT,
    start=None,
    visibility=timedelta(seconds=50),
    tick=timedelta(seconds=10),
    seconds_per_kill=SECONDS_PER_KILL,
)
"""As deployed, but for a message that comes back sooner than after 270 s."""


class InProcess(Api):
    """The API within this process, which nobody kills."""

    def __init__(self, app: App) -> None:
        super().__init__("")
        self._client = ApiClient(app=app)

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        path, _, query = path.partition("?")
        sent = NOTHING if body is None else body
        answer = self._client(method, path, sent, query=query, headers=headers)
        return Reply(answer.status, json.loads(answer.content) if answer.content else None)


@dataclass
class Worker:
    """A process that works for a function."""

    function: str
    command: list[str]
    env: dict[str, str]
    log: Path
    held: bool = False

    def start(self) -> None:
        """Start a process, in the place of one that is gone."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, env=self.env, stdout=log, stderr=log
            )
        self.held = False

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()

    def check(self) -> None:
        """Fail where it died by itself."""
        if self.process.poll() is not None:
            raise AssertionError(f"a worker died by itself:\n{self.log.read_text()[-5_000:]}")


@dataclass
class Aws:
    """Workers and what was done to them."""

    api: Api
    times: Times
    workers: list[Worker]
    stops: list[Stop] = field(default_factory=list)
    recovered_within: float = RECOVERED_WITHIN_SECONDS
    _held: list[tuple[float, int, datetime, Worker]] = field(default_factory=list)
    """Workers that stand still, by when they go on."""

    @property
    def lease_least(self) -> timedelta:
        return self.times.lease_least

    @property
    def seconds_per_kill(self) -> float:
        return self.times.seconds_per_kill

    def kill(self, kills: int, dice: Random) -> Iterator[None]:
        """Kill so many workers and hold others meanwhile; yield after each kill."""
        left = kills
        while left:
            self._wait(dice.expovariate(1 / ((1 - HELD) * self.times.seconds_per_kill)))
            worker = dice.choice(self.workers)
            if dice.random() < HELD:
                if not worker.held:
                    self._hold(worker, self._how_long(worker, dice))
                continue
            if worker.held:
                self._go_on(worker)
            worker.kill()
            worker.start()
            left -= 1
            yield

    def calm(self) -> None:
        """Let all go on, and do nothing more to them."""
        for *_, worker in list(self._held):
            self._go_on(worker)

    def _how_long(self, worker: Worker, dice: Random) -> float:
        lease = self.times.lease_most.total_seconds()
        if worker.function == "execute" and dice.random() < LONG:
            return dice.uniform(lease, 2 * lease)
        return dice.uniform(0, lease / 2)

    def _hold(self, worker: Worker, seconds: float) -> None:
        worker.process.send_signal(signal.SIGSTOP)
        worker.held = True
        until = time.monotonic() + seconds
        heapq.heappush(self._held, (until, worker.process.pid, datetime.now(UTC), worker))

    def _go_on(self, worker: Worker) -> None:
        """Let a worker go on, which may be about to be killed."""
        (entry,) = (entry for entry in self._held if entry[-1] is worker)
        self._held.remove(entry)
        heapq.heapify(self._held)
        worker.process.send_signal(signal.SIGCONT)
        worker.held = False
        self.stops.append(Stop(since=entry[2], until=datetime.now(UTC)))

    def _wait(self, seconds: float) -> None:
        """Wait, and meanwhile let go on who was held for long enough."""
        until = time.monotonic() + seconds
        while self._held and self._held[0][0] <= until:
            time.sleep(max(0.0, self._held[0][0] - time.monotonic()))
            self._go_on(self._held[0][-1])
        time.sleep(max(0.0, until - time.monotonic()))
        for worker in self.workers:
            worker.check()


@contextmanager
def aws(folder: Path, *, times: Times, receives_max: int | None = None) -> Iterator[Aws]:
    """Run the functions over a MiniStack, which is not hurt.

    Args:
        folder: Where the workers' output goes.
        times: How long things take.
        receives_max: How often a message of a run is received until the queue gives up on it;
            None for what is deployed.
    """
    with ministack() as emulator, ExitStack() as stack:
        dynamodb, sqs = client("dynamodb", emulator.endpoint), client("sqs", emulator.endpoint)
        create_table(dynamodb, TABLE)
        urls = create_queues(sqs, prefix="")
        _configure(sqs, urls[FAST.name], times=times, receives_max=receives_max)
        workers = list(
            _workers(emulator.env() | _environment(sqs, urls), urls, folder, times=times)
        )
        for worker in workers:
            worker.start()
            stack.callback(worker.kill)
        yield Aws(api=InProcess(_app(dynamodb, sqs, urls)), times=times, workers=workers)


def _configure(sqs: Any, url: str, *, times: Times, receives_max: int | None) -> None:
    attributes = {"VisibilityTimeout": str(times.visibility // timedelta(seconds=1))}
    if receives_max is not None:
        asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        redrive = json.loads(asked["Attributes"]["RedrivePolicy"])
        attributes["RedrivePolicy"] = json.dumps(redrive | {"maxReceiveCount": receives_max})
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)


def _environment(sqs: Any, urls: Mapping[str, str]) -> dict[str, str]:
    """Return what the functions are told, as the stack tells them."""
    return {
        "TABLE_NAME": TABLE,
        "LANE": "fast",
        "FAST_QUEUE_URL": urls[FAST.name],
        "SLOW_QUEUE_URL": urls[SLOW.name],
        "SHARD_QUEUE_URL": urls[SHARDS.name],
        "DEAD_QUEUE_URL": urls[DEAD_LETTERS.name],
        "PUBLIC_URL": "https://punctual.example",
        "EXTERNAL_ID": "punctual:test",
        "RESULTS_BUCKET": "results",  # no target of a drill answers as much
        "SHARDS_PER_MESSAGE": "16",
        "ALLOW_PRIVATE_TARGETS": "true",
        "POWERTOOLS_METRICS_NAMESPACE": "Punctual",
        "AWS_REGION": sqs.meta.region_name,
        "AWS_DEFAULT_REGION": sqs.meta.region_name,
    }


def _workers(
    env: Mapping[str, str], urls: Mapping[str, str], folder: Path, *, times: Times
) -> Iterator[Worker]:
    since = datetime.now(UTC).replace(second=0, microsecond=0)
    life = str(times.life.total_seconds())
    options = {
        "execute": ["--queue", urls[FAST.name], "--life", life],
        "dispatch": ["--queue", urls[SHARDS.name], "--life", "60"],
        "dead_letters": ["--queue", urls[EXHAUSTED.name], "--life", "30"],
        "tick": [
            *("--life", "20", "--since", since.isoformat()),
            *("--period", str(times.tick.total_seconds())),
        ],
    }
    if times.start is not None:
        options["execute"] += ["--start", str(times.start.total_seconds())]
    for function, many in WORKERS.items():
        for number in range(many):
            yield Worker(
                function=function,
                command=[sys.executable, "-m", "tests.kills.worker", function, *options[function]],
                env={**env, "POWERTOOLS_SERVICE_NAME": function},
                log=folder / f"{function}-{number}.log",
            )


def _app(dynamodb: Any, sqs: Any, urls: Mapping[str, str]) -> App:
    clock, chance = SystemClock(), SystemChance()
    table = Table(dynamodb, TABLE, clock=clock, chance=chance)
    jobs, runs = DynamoJobStore(table, clock=clock), DynamoRunStore(table, clock=clock)
    lanes = {Lane.FAST: urls[FAST.name], Lane.SLOW: urls[SLOW.name]}
    beats, logs, results = DynamoBeats(table), DynamoLogStore(table), MemoryResults()
    dispatch = Dispatch(
        jobs=jobs,
        runs=runs,
        watch_list=DynamoWatchList(table),
        queue=SqsRunQueue(sqs, urls=lanes, clock=clock),
        beats=beats,
        clock=clock,
        chance=chance,
        transact=one_by_one,
    )
    return make_app(
        ApiServices(
            jobs=Jobs(jobs=jobs, runs=runs, dispatch=dispatch, clock=clock, transact=one_by_one),
            runs=Runs(jobs=jobs, runs=runs, results=results, logs=logs, clock=clock),
            asking=Asking(
                jobs=jobs,
                runs=runs,
                requests=DynamoRequestStore(table, clock=clock),
                watch_list=DynamoWatchList(table),
                queue=SqsRunQueue(sqs, urls=lanes, clock=clock),
                clock=clock,
                chance=chance,
                transact=one_by_one,
            ),
            skipping=Skipping(
                jobs=jobs,
                runs=runs,
                watch_list=DynamoWatchList(table),
                clock=clock,
                chance=chance,
                transact=one_by_one,
            ),
            callbacks=Callbacks(
                jobs=jobs,
                runs=runs,
                logs=logs,
                results=results,
                watch_list=DynamoWatchList(table),
                queue=SqsRunQueue(sqs, urls=lanes, clock=clock),
                clock=clock,
                chance=chance,
                tell=lambda _: None,
            ),
            beats=beats,
        ),
        local_tenant="default",
        clock=clock,
        chance=chance,
        cursor_key=b"the API of a drill, which no other tenant sees",
        allow_private_targets=True,
    )
