"""Which jobs a drill makes, and which slots they have: counted out here, asked of nobody."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from tests.support.host import instant

PERIODS = (1, 2, 3, 5, 8)
"""Seconds between the slots of a recurring job."""

SLOTS_MAX = 40
"""Slots of one job, so that there are many jobs."""

ONCE = 0.05
"""Share of the slots that are jobs of their own."""

AT_MOST_ONCE = 0.1
"""Share of the jobs whose runs are never called twice."""

ATTEMPTS = 12
"""Far more than a run loses to kills, so that hardly one is given up."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A job to be made, some time after the drill begins."""

    job_id: str
    offset: timedelta
    """From its making to its first slot."""
    period: int
    """Seconds."""
    count: int
    at_most_once: bool

    def fields(self, url: str, *, begin: datetime) -> dict[str, Any]:
        """Return what the API is told, for a first slot at `begin`."""
        schedule: dict[str, Any] = {
            "every_seconds": self.period,
            "start_at": instant(begin),
            "max_runs": self.count,
        }
        return {
            "schedule": schedule if self.count > 1 else {"at": instant(begin)},
            "target": {"type": "http", "url": url},
            "retry": {"max_attempts": ATTEMPTS, "max_delay_seconds": 5},
            "delivery": "at_most_once" if self.at_most_once else "at_least_once",
        }

    def slots(self, begin: datetime) -> set[datetime]:
        """Return the slots of the job whose first one is at `begin`."""
        return {begin + timedelta(seconds=self.period * number) for number in range(self.count)}


def plan(runs: int, *, span: float, dice: Random) -> Iterator[Planned]:
    """Yield jobs that have so many slots in all, within about so many seconds."""
    left, number = runs, 0
    while left:
        period = dice.choice(PERIODS)
        most = max(1, min(SLOTS_MAX, left, int(span / 2 / period)))
        least = (most + 1) // 2
        # Jobs of one slot are as many as make up their share of the slots.
        share = ONCE * (least + most) / 2
        count = 1 if dice.random() < share / (share + 1 - ONCE) else dice.randint(least, most)
        yield Planned(
            job_id=f"job-{number}",
            offset=timedelta(seconds=dice.uniform(0, span - (count - 1) * period)),
            period=period,
            count=count,
            at_most_once=dice.random() < AT_MOST_ONCE,
        )
        left, number = left - count, number + 1
