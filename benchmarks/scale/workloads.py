"""The workloads: which jobs there are, on what deployment, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from benchmarks.scale.cloud import Deployment
from benchmarks.scale.jobs import Kind
from benchmarks.scale.lambdas import Provisioned, Standard
from benchmarks.scale.latencies import LogNormal
from benchmarks.scale.limits import TICK_DELAY
from punctual.core.dispatch import LOOK_AHEAD

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

AT_ONCE = 60_000
"""Runs that are due at one instant."""

SETTLED_TABLE_WRITES = 16_000
"""Write units a second of a table that has been in use: twice the peak that it has had."""

WARM_UP = MINUTE
"""Until executors are warm and pollers have grown."""

LATEST_TICK = timedelta(milliseconds=TICK_DELAY - 1)

POLLERS_LEAST = 10
POLLERS_MOST = 50
"""Of the stage `prod`; a test holds these two to `infra/config.py`."""

EXECUTORS_MAX = 200
"""Of `prod` as it would be without pollers of its own; likewise."""


def _as_deployed() -> Provisioned:
    return Provisioned(least=POLLERS_LEAST, most=POLLERS_MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Jobs on a deployment. Times are counted from the beginning."""

    about: str
    kinds: tuple[Kind, ...]
    deployment: Deployment
    since: timedelta
    """The first slots that count."""
    until: timedelta
    """The first slots that do not count any more."""
    drain: timedelta
    """How long is waited for the last run."""
    tick_delays: Mapping[timedelta, timedelta | None] = field(default_factory=dict)
    """How late the ticks of some minutes are; None for one that never comes."""
    wall: bool = False
    """Whether all is due at one instant, so that its length is not what it is about."""

    def expected(self) -> int:
        """Return how many runs are due in the time that counts."""
        return sum(kind.slots_between(self.since, self.until) for kind in self.kinds)

    def over(self, minutes: float) -> "Workload":
        """Return it with so many minutes that count, unless all is due at one instant."""
        if self.wall:
            return self
        until = self.since + minutes * MINUTE
        kinds = tuple(kind.before(until + LOOK_AHEAD) for kind in self.kinds)
        return replace(self, until=until, kinds=kinds)

    def answered_in(self, share: float) -> "Workload":
        """Return it with targets that take so much of what they take else."""
        target = self.deployment.target
        quicker = LogNormal(p50=target.p50 * share, p99=target.p99 * share)
        return replace(self, deployment=replace(self.deployment, target=quicker))


def _mix(per_second: int) -> tuple[Kind, ...]:
    """Return jobs that together have so many slots each second.

    Seven in ten runs are of one-minute jobs; the rest is of jobs that run more often, less often,
    and once. They are spread evenly over the seconds: what is due at one instant is a workload of
    its own.
    """
    once = round(per_second * 0.05 * HOUR.total_seconds())
    return (
        _every(SECOND, "each-second", per_second * 0.05),
        _every(10 * SECOND, "ten-seconds", per_second * 0.10),
        _every(MINUTE, "minutely", per_second * 0.70),
        _every(5 * MINUTE, "five-minutes", per_second * 0.10),
        Kind(name="once", count=once, period=None, within=HOUR),
    )


def _dense_mix(per_second: int) -> tuple[Kind, ...]:
    """Return fewer jobs that run more often, since every one of them has to fit into memory."""
    return (
        _every(SECOND, "each-second", per_second * 0.15),
        _every(10 * SECOND, "ten-seconds", per_second * 0.35),
        _every(MINUTE, "minutely", per_second * 0.50),
    )


def _every(period: timedelta, name: str, per_second: float) -> Kind:
    count = round(per_second * period.total_seconds())
    return Kind(name=name, count=count, period=period, within=period)


def _flow(
    about: str,
    kinds: tuple[Kind, ...],
    deployment: Deployment,
    *,
    warm_up: timedelta = WARM_UP,
    drain: timedelta = 30 * SECOND,
    tick_delays: Mapping[timedelta, timedelta | None] | None = None,
) -> Workload:
    return Workload(
        about=about,
        kinds=kinds,
        deployment=deployment,
        since=warm_up,
        until=warm_up + 5 * MINUTE,
        drain=drain,
        tick_delays=tick_delays or {},
    )


def _wall(about: str, deployment: Deployment) -> Workload:
    """Return jobs that are due together once an hour, and pay a claim for each run."""
    due = 5 * MINUTE
    hourly = Kind(name="hourly", count=AT_ONCE, period=HOUR, first=due, within=timedelta(0))
    return Workload(
        about=about,
        kinds=(hourly,),
        deployment=deployment,
        since=due,
        until=due + SECOND,
        drain=3 * MINUTE,
        wall=True,
    )


PROD = Deployment(table_writes=SETTLED_TABLE_WRITES, pollers=_as_deployed)

WORKLOADS: Mapping[str, Workload] = {
    "steady": _flow("1,000 starts a second, as `prod` is deployed", _mix(1000), PROD),
    "lost-tick": _flow(
        "1,000 starts a second, and one tick never comes",
        _mix(1000),
        PROD,
        tick_delays={MINUTE: None},
    ),
    "burst": _wall(
        "60,000 due at one instant, in standard mode",
        replace(PROD, pollers=lambda: Standard(most=EXECUTORS_MAX)),
    ),
    "burst-provisioned": _wall(
        "60,000 due at one instant, with 200 pollers kept ready",
        replace(
            PROD,
            pollers=lambda: Provisioned(least=200, most=200),
            concurrency=3000,
            table_writes=40_000,
        ),
    ),
    "tenfold": _flow(
        "10,000 starts a second: more pollers, and quotas of AWS raised",
        _dense_mix(10_000),
        Deployment(
            table_writes=100_000,
            pollers=lambda: Provisioned(least=150, most=400),
            concurrency=4000,
        ),
        warm_up=12 * SECOND,
        drain=3 * SECOND,
    ),
    "burst-prod": _wall("60,000 due at one instant, as `prod` is deployed", PROD),
    "lost-tick-worst": _flow(
        "one tick never comes, the one before at once and the one after as late as AWS may be",
        _mix(200),
        PROD,
        tick_delays={0 * MINUTE: 0 * SECOND, MINUTE: None, 2 * MINUTE: LATEST_TICK},
    ),
    "steady-new": _flow(
        "1,000 starts a second on a table that was made today",
        _mix(1000),
        Deployment(pollers=_as_deployed),
    ),
}
"""By name; the first five are what `make bench-scale` runs."""

MAIN = ("steady", "lost-tick", "burst", "burst-provisioned", "tenfold")
