"""What a workload came to: one record, its units priced as `punctual cost` prices them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.scale.cloud import Cloud
from benchmarks.scale.tally import Moment
from infra.definitions import FAST, SHARDS
from punctual.cli import bill
from punctual.cli.bill import Line

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}

POINTS_MAX = 240
"""Of the backlog over time."""

SHOWN_MS = 10_000
"""How much of the time before and after what counts the backlog shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a deployment has taken of AWS up to an instant."""

    calls: int
    write_units: float
    read_units: float
    queue_requests: int
    fifo_requests: int
    fair_messages: int
    invocations: int
    gb_seconds: float
    executor_batches: int
    poller_hours: float

    def since(self, before: "Taken") -> "Taken":
        """Return what was taken since then."""
        return Taken(**{k: v - asdict(before)[k] for k, v in asdict(self).items()})


def taken(cloud: Cloud) -> Taken:
    """Read the meters."""
    fast, shards = cloud.queues[FAST.name], cloud.queues[SHARDS.name]
    usage = cloud.service.usage
    return Taken(
        calls=cloud.tally.calls,
        write_units=cloud.table.units.written,
        read_units=cloud.table.units.read,
        queue_requests=fast.requests.total(),
        fifo_requests=shards.requests.total(),
        fair_messages=fast.fair,
        invocations=sum(each.invocations for each in usage.values()),
        gb_seconds=sum(each.gb_seconds for each in usage.values()),
        executor_batches=usage["fast"].invocations if "fast" in usage else 0,
        poller_hours=cloud.poller_hours,
    )


def priced(units: Taken) -> Iterator[Line]:
    """Yield what units cost, by the price table of `punctual cost`.

    Alarms, the dashboard and what else a stage costs that does nothing are not among them.
    """
    for name, quantity, unit, price in (
        ("table: writes", units.write_units, "units", bill.WRITE_UNITS),
        ("table: reads", units.read_units, "units", bill.READ_UNITS),
        ("table: a month of history", _stored_gb(units), "GB", bill.STORED_GB),
        ("queue: requests", units.queue_requests, "requests", bill.QUEUE_REQUESTS),
        ("queue: fairness", units.fair_messages, "messages", bill.FAIR_MESSAGES),
        ("shard queue: requests", units.fifo_requests, "requests", bill.FIFO_REQUESTS),
        ("functions: invocations", units.invocations, "invocations", bill.INVOCATIONS),
        ("functions: time", units.gb_seconds, "GB s", bill.GB_SECONDS),
        ("logs and metrics", _logged_gb(units), "GB", bill.LOGGED_GB),
        ("pollers kept ready", units.poller_hours, "hours", bill.POLLERS),
    ):
        yield Line(name=name, quantity=quantity, unit=unit, dollars=quantity * price)


def _stored_gb(units: Taken) -> float:
    return units.calls * bill.RUN_KEPT_MONTHS * bill.RUN_BYTES / 1e9


def _logged_gb(units: Taken) -> float:
    return units.executor_batches * bill.LOGGED_BYTES_PER_BATCH / 1e9


def quantiles(lateness_ms: Sequence[int]) -> Mapping[str, float]:
    """Return the quantiles of lateness, in seconds."""
    late = sorted(lateness_ms)
    return {
        name: late[min(int(share * len(late)), len(late) - 1)] / 1000
        for name, share in QUANTILES.items()
    }


def distribution(lateness_ms: Sequence[int]) -> Sequence[tuple[float, float]]:
    """Return lateness in seconds beside the share of runs that were no later: finer in the tail."""
    late = sorted(lateness_ms)
    halved = [1 - 0.5**n for n in range(1, len(late).bit_length())]
    shares = [0.001, 0.01, 0.1, 0.25, *halved]
    return [(late[int(share * len(late))] / 1000, share) for share in shares] + [
        (late[-1] / 1000, 1 - 0.5 / len(late))
    ]


def backlog(moments: Sequence[Moment], *, since: int) -> Sequence[Mapping[str, float]]:
    """Return the backlog over time: up to `POINTS_MAX` moments, the fullest of each stretch."""
    stretch = -(-len(moments) // POINTS_MAX)
    fullest = [
        max(moments[first : first + stretch], key=lambda moment: moment.waiting)
        for first in range(0, len(moments), stretch)
    ]
    return [
        {
            "second": (moment.at - since) / 1000,
            "waiting": moment.waiting,
            "in_flight": moment.in_flight,
            "executors": moment.executors,
            "started": moment.called,
        }
        for moment in fullest
    ]


def _shown(cloud: Cloud, *, last: int) -> Sequence[Moment]:
    """Return the moments around the time that counts, until all of it has come to rest."""
    since, until = cloud.tally.since, cloud.tally.since + last
    return [m for m in cloud.tally.moments if since - SHOWN_MS <= m.at <= until + SHOWN_MS]


def record(cloud: Cloud, *, expected: int, units: Taken) -> dict[str, Any]:
    """Return the record of a workload that is over.

    Args:
        cloud: As the last event left it.
        expected: Runs that were due in the time that counts.
        units: What was taken in that time.
    """
    tally, usage = cloud.tally, cloud.service.usage
    lines = list(priced(units))
    per_million = bill.MILLION / units.calls
    last = max(slot + late for slot, late in zip(tally.slots, tally.lateness, strict=True))
    return {
        "runs": len(tally.lateness),
        "missing": expected - len(tally.lateness),
        "early": tally.early,
        "repeated": tally.repeated,
        "lateness_s": quantiles(tally.lateness),
        "distribution": distribution(tally.lateness),
        "drained_s": last / 1000,
        "waiting_most": max(moment.waiting for moment in tally.moments),
        "in_flight_most": cloud.queues[FAST.name].in_flight_most,
        "executors_most": usage["fast"].busy_most,
        "dispatchers_most": usage["dispatch"].busy_most,
        "cold_starts": {name: each.cold for name, each in usage.items()},
        "failures": dict(cloud.service.failures),
        "writes_throttled": cloud.table.units.writes_throttled,
        "reads_throttled": cloud.table.units.reads_throttled,
        "runs_per_batch": round(units.calls / units.executor_batches, 2),
        "units_per_run": {
            "write_units": round(units.write_units / units.calls, 3),
            "read_units": round(units.read_units / units.calls, 3),
            "queue_requests": round(units.queue_requests / units.calls, 3),
            "gb_seconds": round(units.gb_seconds / units.calls, 5),
        },
        "dollars_per_million": {
            line.name: round(line.dollars * per_million, 3) for line in lines if line.dollars
        },
        "dollars_per_million_runs": round(sum(line.dollars for line in lines) * per_million, 2),
        "backlog": backlog(_shown(cloud, last=last), since=tally.since),
    }
