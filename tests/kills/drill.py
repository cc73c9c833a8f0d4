"""A drill: jobs run while processes are killed and held, and then everything is looked at."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Protocol

import urllib3

from tests.kills.aws import DEPLOYED, SHORT, aws
from tests.kills.calls import Target
from tests.kills.embedded import embedded
from tests.kills.judge import Evidence, Figures, Stop, judge
from tests.kills.plan import Planned, plan
from tests.support.host import OPEN, Api, from_now
from tests.support.sinks import sink

LEAD_SECONDS = 3.0
"""From the making of a job to its first slot, at least."""

LOOKED_AT = 3
"""Jobs whose outcomes are looked at after each kill."""

SLOWEST_SECONDS = 0.9
"""How long a call takes at most."""

ENGINES = ("embedded", "aws")


class Field(Protocol):
    """An engine whose processes can be hurt."""

    stops: list[Stop]

    @property
    def api(self) -> Api:
        """The API, of those processes that live now."""
        ...

    @property
    def lease_least(self) -> timedelta | None:
        """See `Evidence`."""
        ...

    @property
    def seconds_per_kill(self) -> float:
        """About how long one kill takes."""
        ...

    @property
    def recovered_within(self) -> float:
        """How long it may take after the last kill, and the last slot, until all is well."""
        ...

    def kill(self, kills: int, dice: Random) -> Iterator[None]:
        """Kill so often, holding others meanwhile; yield after each kill."""
        ...

    def calm(self) -> None:
        """Hurt nobody any more."""
        ...


@dataclass(frozen=True, kw_only=True)
class Drill:
    """What is to be done, and how often."""

    engine: str
    kills: int
    runs: int
    seed: int
    span: float | None = None
    """Seconds that the slots lie within; None for about as long as the kills take."""
    deployed_times: bool = False
    """Of AWS: with leases as long as they are in production."""
    receives_max: int | None = None
    """Of AWS: see `aws`."""

    def open(self, folder: Path) -> AbstractContextManager[Field]:
        """Start the engine."""
        if self.engine == "embedded":
            return embedded(folder)
        times = DEPLOYED if self.deployed_times else SHORT
        return aws(folder, times=times, receives_max=self.receives_max)


def carry_out(drill: Drill, folder: Path, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Carry out a drill, and return its figures; `complaints` is empty if all is as promised."""
    dice, began = Random(drill.seed), time.monotonic()
    target = Target(Random(dice.random()), slowest=SLOWEST_SECONDS)
    with sink(target.act) as listening, drill.open(folder) as field:
        span = drill.span or drill.kills * field.seconds_per_kill
        witness = Witness(field)
        for planned in plan(drill.runs, span=span, dice=dice):
            witness.make(planned, url=listening.url)
        say(f"{len(witness.slots)} jobs with {drill.runs} slots within {span:.0f} s")
        for number, _ in enumerate(field.kill(drill.kills, dice), start=1):
            witness.look(dice.sample(sorted(witness.slots), min(LOOKED_AT, len(witness.slots))))
            if number % 10 == 0:
                say(f"{number} kills, {len(field.stops)} stops, {len(target.calls)} calls")
        field.calm()
        witness.wait(say)
        runs = witness.runs()
        figures = judge(
            Evidence(
                slots=witness.slots,
                at_most_once=witness.at_most_once,
                calls=list(target.calls),
                runs=runs,
                seen=list(witness.seen.values()),
                stops=field.stops,
                lease_least=field.lease_least,
            )
        )
        return _figures(drill, figures, field, seconds=time.monotonic() - began)


def _figures(drill: Drill, figures: Figures, field: Field, *, seconds: float) -> dict[str, Any]:
    lengths = [stop.until - stop.since for stop in field.stops]
    least = field.lease_least
    return {
        "engine": drill.engine,
        "seed": drill.seed,
        "kills": drill.kills,
        "stops": len(lengths),
        "stops_beyond_lease": 0 if least is None else sum(each > least for each in lengths),
        **figures.as_dict(),
        "seconds": round(seconds),
    }


class Witness:
    """Makes the jobs, and looks at their runs again and again."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self.slots: dict[str, set[Any]] = {}
        self.at_most_once: set[str] = set()
        self.seen: dict[str, dict[str, Any]] = {}
        """Each run as it was when its outcome was first seen."""
        self._last = from_now(0)
        """The last slot of all."""

    def make(self, planned: Planned, *, url: str) -> None:
        """Make a job."""
        begin = from_now(LEAD_SECONDS + planned.offset.total_seconds())
        self._field.api.put(planned.job_id, **planned.fields(url, begin=begin))
        self.slots[planned.job_id] = planned.slots(begin)
        self._last = max(self._last, *self.slots[planned.job_id])
        if planned.at_most_once:
            self.at_most_once.add(planned.job_id)

    def look(self, job_ids: Sequence[str]) -> None:
        """Look at the outcomes of some jobs, as far as somebody answers."""
        with suppress(urllib3.exceptions.HTTPError):
            for job_id in job_ids:
                self._note(job_id)

    def wait(self, say: Callable[[str], None]) -> None:
        """Return when every slot has its outcome, or when it took too long for that."""
        waited_for = set(self.slots)
        until = time.monotonic() + self._field.recovered_within
        until += max(0.0, (self._last - from_now(0)).total_seconds())
        while waited_for and time.monotonic() < until:
            open_still = {job_id for job_id in waited_for if not self._note(job_id)}
            if len(open_still) < len(waited_for):
                say(f"{len(open_still)} jobs are not done")
            waited_for = open_still
            time.sleep(1)

    def runs(self) -> list[dict[str, Any]]:
        """Return every run as it is now."""
        return [run for job_id in self.slots for run in self._field.api.runs(job_id)]

    def _note(self, job_id: str) -> bool:
        """Note the outcomes of a job; say whether it has all that it owes."""
        runs = self._field.api.runs(job_id)
        ended = [run for run in runs if run["state"] not in OPEN]
        for run in ended:
            self.seen.setdefault(run["id"], run)
        return len(ended) >= len(self.slots[job_id])
