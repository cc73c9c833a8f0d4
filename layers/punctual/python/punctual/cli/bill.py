"""What a month of runs costs on AWS, line by line, from units that tests count.

Prices are the list prices of us-east-1 without free tiers, in US dollars, as of November 2026.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from punctual.services.tick import GROUPS_AT_ONCE, PAUSE

MINUTES_A_MONTH = 43_800
HOURS_A_MONTH = 730
MILLION = 1_000_000

# Prices.
WRITE_UNITS = 0.625 / MILLION
READ_UNITS = 0.125 / MILLION
STORED_GB = 0.25 + 0.20
"""A month in the table, and its point-in-time recovery."""
QUEUE_REQUESTS = 0.40 / MILLION
FIFO_REQUESTS = 0.50 / MILLION
FAIR_MESSAGES = 0.10 / MILLION
"""For telling tenants apart in a queue."""
INVOCATIONS = 0.20 / MILLION
GB_SECONDS = 13.3334e-6
"""On ARM."""
LOGGED_GB = 0.50
SCHEDULED = 1.00 / MILLION
API_REQUESTS = 1.00 / MILLION
POLLERS = 0.00925
"""An hour of one poller kept ready."""
ALARMS = 0.10
DASHBOARDS = 3.00
METRICS = 0.30
SECRETS = 0.40

# What one run takes.
STARTED_AND_FINISHED = 3
"""Write units: the row, its start, its finish."""
CLAIMED = 3
"""Write units of a claim: the job, and its place in the index of due jobs, left and taken."""
CLAIMED_LAST = 2
"""Write units of the claim that nothing follows: no new place is taken."""
WATCHED = 0.08
"""Write units: a watch row for up to 25 runs, written and deleted, less full where jobs differ."""
CREATED = 4
"""Write units of a new job: its content, itself, its places in two indexes."""
READ = 1.2
"""Read units: the job, and a share of contents and indexes."""
AHEAD_SLOTS = 10
AHEAD = timedelta(seconds=840)
"""A visit hands over up to ten slots, no further ahead than this."""
RUN_KEPT_MONTHS = 1
RUN_BYTES = 515
"""A row with its keys, an answer of 100 bytes, and what storage adds."""

# What a batch takes.
BATCH_MAX = 10
QUEUE_REQUESTS_PER_BATCH = 3
"""Send, receive, delete."""
HELD_SECONDS = 0.5
"""A message comes up to a second before its slot, and its executor waits."""
WRITTEN_SECONDS = 0.05
"""Start, read, finish."""
EXECUTOR_GB = 0.375
LOGGED_BYTES_PER_BATCH = 850
"""Lambda's own three lines, and one of metrics."""

DISPATCHED_GB_SECONDS = 0.0015
"""Of a dispatcher, for each run."""
TICK_GB = 0.25
TICK_SECONDS = 0.1
"""Of a tick, its waits left out."""
DISPATCH_GB_SECONDS = 0.1
"""Of a dispatcher that finds nothing."""
API_GB_SECONDS = 0.002
"""Of the API, for each job that a request creates together with others."""
IDLE_QUEUES = 4
POLLS_PER_IDLE_QUEUE_AND_MINUTE = 9
"""Two of Lambda's pollers, each waiting for up to 20 s, and some."""
CUSTOM_METRICS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What of a stage's configuration is paid whether runs take place or not."""

    ticks_per_minute: int
    """Messages that wake a dispatcher."""
    pollers: int = 0
    alarms: int = 7


STAGES: Mapping[str, Stage] = {
    "dev": Stage(ticks_per_minute=4),
    "prod": Stage(ticks_per_minute=64, pollers=10),
}
"""By name; a test holds them to the configuration of the stacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is to be carried out."""

    runs_per_minute: float
    period: timedelta | None
    """How often one job runs; None for jobs that run once."""
    call: timedelta = timedelta(milliseconds=200)
    """How long a target takes to answer."""
    batch: float = BATCH_MAX
    """Runs that share an executor: ten where many are due in the same second, else fewer."""
    created_at_once: int = 100
    """Jobs that one request creates, where jobs run once."""
    many_tenants: bool = False
    """Whether callers bring tokens that name their tenant: queues keep tenants apart then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a bill."""

    name: str
    quantity: float
    """A month's."""
    unit: str
    dollars: float


def claims_per_run(period: timedelta) -> float:
    """Return how much of a claim each run of a job pays: a visit hands several slots over."""
    return 1 / min(AHEAD_SLOTS, 1 + AHEAD // period)


def write_units(period: timedelta | None) -> float:
    """Return the write units of one run, all that leads to it included."""
    if period is None:
        return CREATED + CLAIMED_LAST + STARTED_AND_FINISHED + WATCHED
    return STARTED_AND_FINISHED + CLAIMED * claims_per_run(period) + WATCHED


def bill_of_runs(workload: Workload) -> Iterator[Line]:
    """Yield what a month's runs cost."""
    runs = workload.runs_per_minute * MINUTES_A_MONTH
    batches = runs / workload.batch
    seconds = HELD_SECONDS + WRITTEN_SECONDS + workload.call.total_seconds()
    yield _line("table: writes", runs * write_units(workload.period), "units", WRITE_UNITS)
    yield _line("table: reads", runs * READ, "units", READ_UNITS)
    stored = runs * RUN_KEPT_MONTHS * RUN_BYTES / 1e9
    yield _line("table: a month of history", stored, "GB", STORED_GB)
    requests = batches * QUEUE_REQUESTS_PER_BATCH
    yield _line("queue: requests", requests, "requests", QUEUE_REQUESTS)
    if workload.many_tenants:
        yield _line("queue: fairness between tenants", runs, "messages", FAIR_MESSAGES)
    yield _line("executors: invocations", batches, "invocations", INVOCATIONS)
    yield _line("executors: time", batches * seconds * EXECUTOR_GB, "GB s", GB_SECONDS)
    yield _line("dispatchers: time", runs * DISPATCHED_GB_SECONDS, "GB s", GB_SECONDS)
    yield _line("logs and metrics", batches * LOGGED_BYTES_PER_BATCH / 1e9, "GB", LOGGED_GB)
    if workload.period is None:
        requests = runs / workload.created_at_once
        yield _line("API: requests", requests, "requests", API_REQUESTS + INVOCATIONS)
        yield _line("API: time", runs * API_GB_SECONDS, "GB s", GB_SECONDS)


def bill_of_stage(stage: Stage) -> Iterator[Line]:
    """Yield what a month of a stage costs in which nothing is due."""
    ticks = MINUTES_A_MONTH * stage.ticks_per_minute
    yield _line("tick: schedule", MINUTES_A_MONTH, "invocations", SCHEDULED + INVOCATIONS)
    portions = ceil(stage.ticks_per_minute / GROUPS_AT_ONCE)
    waits = (portions - 1) * PAUSE.total_seconds() * TICK_GB
    seconds = MINUTES_A_MONTH * (waits + TICK_SECONDS * TICK_GB)
    yield _line("tick: time", seconds, "GB s", GB_SECONDS)
    yield _line("tick: shard queue", ticks * 2.1, "requests", FIFO_REQUESTS)
    yield _line("tick: dispatchers, invocations", ticks, "invocations", INVOCATIONS)
    yield _line("tick: dispatchers, time", ticks * DISPATCH_GB_SECONDS, "GB s", GB_SECONDS)
    yield _line("tick: signs of life", ticks, "units", WRITE_UNITS)
    polls = MINUTES_A_MONTH * IDLE_QUEUES * POLLS_PER_IDLE_QUEUE_AND_MINUTE
    yield _line("queues: polls", polls, "requests", QUEUE_REQUESTS)
    if stage.pollers:
        yield _line("pollers kept ready", stage.pollers * HOURS_A_MONTH, "hours", POLLERS)
    yield _line("alarms", stage.alarms, "alarms", ALARMS)
    yield _line("dashboard", 1, "dashboards", DASHBOARDS)
    yield _line("metrics", CUSTOM_METRICS, "metrics", METRICS)
    yield _line("secret of the cursors", 1, "secrets", SECRETS)


def _line(name: str, quantity: float, unit: str, price: float) -> Line:
    return Line(name=name, quantity=quantity, unit=unit, dollars=quantity * price)
